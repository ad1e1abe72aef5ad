"""Files that a task names: found only under the operator's directory, and read within bounds."""

import os

import pytest

from dsched.contracts.executor.files import FileError, find_file, read_file

OPTION = "executors.http.tls_dir"


@pytest.fixture
def directory(tmp_path):
    inside = tmp_path / "inside"
    (inside / "..data").mkdir(parents=True)
    (inside / "ca.pem").write_bytes(b"content")
    (inside / "..data" / "token").write_bytes(b"mounted")
    (inside / "token").symlink_to("..data/token")
    (inside / "loop").symlink_to("loop")
    (tmp_path / "outside").write_bytes(b"private")
    (inside / "leaves").symlink_to(tmp_path / "outside")
    os.mkfifo(inside / "pipe")
    return inside


def test_a_file_is_read_whole_up_to_the_bound(directory):
    content = read_file(str(directory), "ca.pem", option=OPTION, max_bytes=7)

    assert content == b"content"
    with pytest.raises(FileError, match=f"'ca.pem' under {OPTION} is larger than 6 bytes"):
        read_file(str(directory), "ca.pem", option=OPTION, max_bytes=6)


def test_a_link_that_stays_inside_is_followed_as_mounted_volumes_need(directory):
    assert read_file(str(directory), "token", option=OPTION, max_bytes=10) == b"mounted"


def test_a_directory_that_is_a_link_itself_is_fine(directory, tmp_path):
    (tmp_path / "link").symlink_to(directory)

    found = find_file(str(tmp_path / "link"), "ca.pem", option=OPTION)

    assert found == directory.resolve() / "ca.pem"


@pytest.mark.parametrize("name", ["leaves", "../outside", "..data/../../outside", "{absolute}"])
def test_no_name_leads_out_of_the_directory(directory, tmp_path, name):
    name = name.format(absolute=tmp_path / "outside")

    with pytest.raises(FileError, match="lies outside of") as refused:
        read_file(str(directory), name, option=OPTION, max_bytes=10)

    assert not refused.value.passing


@pytest.mark.parametrize("name", ["missing", "..data", "pipe", "loop", "", "ca.pem/below"])
def test_only_a_regular_file_is_opened(directory, name):
    with pytest.raises(FileError, match=f"no file '{name}' under {OPTION}") as refused:
        read_file(str(directory), name, option=OPTION, max_bytes=10)

    assert not refused.value.passing
    assert str(directory) not in str(refused.value)


@pytest.mark.parametrize("name", ["x" * 300, "nul\0byte"])
def test_a_name_that_no_file_can_have_is_refused_for_good(directory, name):
    with pytest.raises(FileError, match=OPTION) as refused:
        read_file(str(directory), name, option=OPTION, max_bytes=10)

    assert not refused.value.passing


def test_trouble_with_the_disk_is_passing(directory, monkeypatch):
    def broken(path, mode):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pathlib.Path.open", broken)
    with pytest.raises(FileError, match=r"cannot be read: Input/output error") as trouble:
        read_file(str(directory), "ca.pem", option=OPTION, max_bytes=10)

    assert trouble.value.passing


def test_without_a_directory_the_option_to_set_is_named():
    with pytest.raises(FileError, match=f"no directory for it; set {OPTION}"):
        find_file("", "ca.pem", option=OPTION)
