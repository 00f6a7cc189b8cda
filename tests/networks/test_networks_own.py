"""A network from a file of one's own."""

import pytest

from gan_convnorm.errors import BadInput
from gan_convnorm.networks import NETWORKS, find_networks


def test_a_file_of_ones_own_is_a_network(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_pair.py").write_text(
        "from gan_convnorm.networks import NETWORKS, Networks\nPAIR = Networks(*NETWORKS['dcgan'])\nOTHER = 3\n"
    )
    assert find_networks("own_pair:PAIR") == NETWORKS["dcgan"]
    for name, message in (
        ("other", "choose one of: sngan, dcgan, or give your own as package.module:Name"),
        ("own_pair:OTHER", "is a int; expected gan_convnorm.networks.Networks"),
        ("own_pair:NONE", "own_pair has no .NONE"),
        ("nowhere:PAIR", "importing 'nowhere' failed .*PYTHONPATH"),
        (":PAIR", "importing '' failed"),
    ):
        with pytest.raises(BadInput, match=message):
            find_networks(name)
