"""Models in the browser: what the page asks for, how it is written, and the page itself."""

from groundup.serving.studio import serve as serve
from groundup.serving.writing import Writer as Writer
from groundup.serving.writing import Written as Written
