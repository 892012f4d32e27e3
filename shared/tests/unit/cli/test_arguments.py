"""What is wrong with an argument is one sentence that names it, and ends with 2; nothing is asked of any server."""

import pytest

from tillstream.cli.main import main

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLSTREAM_OPERATOR_DATABASE_URL", "host=127.0.0.1 port=1")


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("quarantine list --reason bad", "argument --reason: invalid choice: 'bad'"),
        ("quarantine list --entity cart", "argument --entity: invalid choice: 'cart'"),
        ("quarantine list --since yesterday", "--since must be an ISO 8601 time"),
        ("quarantine list --limit 0", "argument --limit: must be a whole number from 1 to 10000"),
        ("quarantine list --limit 10001", "argument --limit: must be a whole number from 1 to 10000"),
        ("quarantine list --job 17", "argument --job: must be a UUID"),
        ("quarantine show x", "argument ID: must be a whole number from 1 to 9223372036854775807"),
        ("quarantine replay", "Entries must be chosen in one way: by IDs, by filters, or by --all."),
        ("quarantine replay 5 --all", "Entries must be chosen in one way"),
        ("quarantine replay 5 --source shop", "Entries must be chosen in one way"),
        ("quarantine replay 5 6 --limit 1", "IDs must be at most 1"),
        ("quarantine replay 5 --wait 0", "argument --wait: must be a whole number from 1 to 3600"),
        ("quarantine fix 5", "fix must have either --patch or --file."),
        ("quarantine fix 5 --patch {} --file x", "fix must have either --patch or --file."),
        ("quarantine fix 5 --patch [", "--patch must be JSON"),
        ("quarantine fix --file /nowhere/at/all", "--file cannot be read: No such file or directory."),
        ("quarantine fix 5 --file x", "--file names its entries itself"),
        ("quarantine fix --reason id_conflict --file x", "--file names its entries itself"),
        (
            "quarantine export --all --to /nowhere/at/all",
            "--to must name a new file: No such file or directory.",
        ),
        ("partitions resume", "resume must have TOPIC and PARTITION, or --all"),
        ("partitions resume shop.events.v1", "resume must have TOPIC and PARTITION, or --all"),
        ("partitions resume shop.events.v1 3 --all", "resume must have TOPIC and PARTITION, or --all"),
        ("partitions resume shop.events.v1 x", "argument PARTITION: must be a whole number from 0 to 32767"),
        ("partitions accept shop.events.v1", "the following arguments are required: --from"),
        ("partitions accept t --from late", "argument --from: must be earliest, or a whole number from 0 to"),
        ("quarantine requests --before 0", "argument --before: must be a whole number from 1"),
    ],
)
def test_a_wrong_argument_is_one_sentence(
    command: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(command.split())
    except SystemExit as ended:
        code = int(str(ended.code))
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert sentence in said.err
    assert said.err.count("\n") == 1


def test_who_asks_must_be_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quarantine", "replay", "5", "--by", "\x1b"]) == 2
    assert "--by must be a text" in capsys.readouterr().err


def test_a_server_that_is_away_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quarantine", "list"]) == 1
    assert capsys.readouterr().err.startswith("tillstream: connection failed")


def test_an_argument_that_is_no_text_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["quarantine", "list", "--source", "\udcff"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "tillstream: arguments must be UTF-8.\n"
