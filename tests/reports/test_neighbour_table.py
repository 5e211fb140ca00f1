"""The table of neighbours: a column for each word and analogy, a row for each rank."""

import pytest
from tests.interpret.some_embeddings import some_embeddings

from groundup.errors import InputError
from groundup.reports.neighbour_table import neighbour_table

SMALL = some_embeddings()


def test_a_column_each():
    table = neighbour_table(SMALL, ["king", "red"], [("king", "queen", "one")], n=2)
    assert [column.title for column in table.columns] == ["", "␣king", "␣red", "king − queen + one"]
    assert [str(row[0]) for row in table.rows] == ["1", "2"]
    assert {str(row[1]).split()[1] for row in table.rows} == {"␣queen", "␣prince"}
    assert {str(row[2]).split()[1] for row in table.rows} == {"␣green", "␣blue"}
    assert {str(row[3]).split()[1] for row in table.rows} == {"␣two", "␣three"}
    assert all(0 < float(str(cell).split()[0]) <= 1 for row in table.rows for cell in row[1:])


def test_more_than_there_are():
    table = neighbour_table(SMALL, ["king"], [("king", "queen", "one")], n=10**6)
    assert len(table.rows) == len(SMALL) - 1
    assert str(table.rows[-1][2]) == "", "three are left out of an analogy, one of neighbours"
    assert neighbour_table(SMALL, []).rows == ()


def test_a_word_that_is_no_token():
    with pytest.raises(InputError, match="found 'kingdom'"):
        neighbour_table(SMALL, ["king", "kingdom"])
