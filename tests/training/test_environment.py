"""What decides the last bits is recorded, and a difference is named."""

import torch

from groundup.training.environment import differences, environment


def test_it_names_torch_the_processor_the_device_and_the_threads():
    told = environment(torch.device("cpu"))
    assert told["torch"] == torch.__version__
    assert told["threads"] == torch.get_num_threads()
    assert told["device"] == "cpu"
    assert "(" in str(told["processor"])  # the vector instructions


def test_silence_where_nothing_differs():
    here = environment(torch.device("cpu"))
    assert differences(here, here) == ""
    assert differences({}, here) == ""  # a checkpoint of an earlier version tells nothing


def test_each_difference_is_named():
    here = environment(torch.device("cpu"))
    found = differences({**here, "threads": 64, "device": "NVIDIA X"}, here)
    assert found.endswith(f": device NVIDIA X -> cpu, threads 64 -> {here['threads']}")
    assert found.startswith("results may differ in the last bits")
