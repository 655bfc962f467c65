"""Reading /proc/self/mountinfo."""

from pathlib import Path

from k8s.node import mounts

MOUNTINFO = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:30 / /state/run rw - tmpfs tmpfs rw
41 40 0:31 / /state/run/netns/cni-1 rw - nsfs nsfs rw
42 22 0:32 / /state-of-others rw - tmpfs tmpfs rw
43 22 0:33 / /with\040space\011and\134slash rw - tmpfs tmpfs rw
44 22 0:34 / /state rw - tmpfs tmpfs rw
"""


def test_mounts_below_a_folder_come_innermost_first() -> None:
    found = mounts.below([Path("/state")], MOUNTINFO)

    assert found == [Path("/state"), Path("/state/run/netns/cni-1"), Path("/state/run")]


def test_a_folder_whose_name_only_begins_the_same_is_of_others() -> None:
    assert Path("/state-of-others") not in mounts.below([Path("/state")], MOUNTINFO)


def test_escaped_characters_are_read() -> None:
    assert mounts.below([Path("/with space\tand\\slash")], MOUNTINFO) == [Path("/with space\tand\\slash")]


def test_this_machine_can_be_read() -> None:
    assert Path("/proc") in mounts.below([Path("/proc")])
