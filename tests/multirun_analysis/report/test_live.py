"""The live page: what has changed and nothing else, to whoever has the token, with nothing written."""

import http.client
import json
import signal
import subprocess
import sys
import threading

import pytest
from synthetic import ONE, Outcome, configuration, plausible, write_attempt, write_runs, write_sweep

from multirun_analysis import load
from multirun_analysis.report.live import Live
from multirun_analysis.report.server import HOST, Server
from taunode.runs.files import write_json

SEEDS = 4


def at_work(config):
    return plausible(config) if config["seed"] % 2 else Outcome("running")


@pytest.fixture
def sweep(tmp_path):
    """Two runs that are done, and two that are not: two of four epochs, and no owner on this machine."""
    return write_sweep(
        tmp_path / "s", depths=(20,), taus=(ONE,), norms=("batch",), seeds=range(SEEDS), epochs=4, outcome=at_work
    )


@pytest.fixture
def live(sweep):
    return Live(lambda: load(sweep.path))


def files(sweep):
    return {path: path.read_bytes() for path in sweep.path.rglob("*") if path.is_file()}


def open_run(sweep):
    return next(run for run in sweep if run.read_record().state == "running")


def grow(run, error=12.5):
    with run.metrics(1).open("a") as file:
        file.write(f"3,0.1,0.5,10.0,0.6,{error}\n")


def finish(run):
    record = run.read_record()
    record.state, record.attempts = "done", []
    for file in (run.claim(1), run.path / "metrics.csv", run.path / "timings.csv", run.path / "log.txt"):
        file.unlink(missing_ok=True)
    write_attempt(run, record, 4, Outcome("done", error=9.0))
    write_json(run.record, record.to_json())


def version(live):
    return data(live)["version"]


def data(live):
    page = live.html().decode()
    return json.loads(page.partition('id="data">')[2].partition("</script>")[0])


def test_nothing_new_is_nothing(live):
    live.look()
    assert not live.look()
    assert live.changes(version(live)) == b""


def test_an_epoch_arrives_with_its_run_and_no_other(live, sweep):
    since = version(live)
    run = open_run(sweep)
    grow(run)
    assert live.look()
    changes = json.loads(live.changes(since))
    (one,) = changes["runs"]
    assert data(live)["runs"][one["run"]] == run.path.name
    assert one["epochs"]["epoch"] == [1, 2, 3]
    assert one["epochs"]["test_error"][-1] == 12.5
    assert live.changes(changes["version"]) == b""


def test_what_changed_put_into_an_old_page_gives_the_new_one(live, sweep):
    old = data(live)
    grow(open_run(sweep))
    live.look()
    finish(open_run(sweep))
    live.look()
    changes = json.loads(live.changes(old["version"]))
    new = data(live)
    for one in changes["runs"]:
        old["facets"][-1]["codes"][one["run"]] = one["state"]
        old["diverged"][one["run"]] = one["diverged"]
        for column, value in zip(old["table"], one["values"], strict=True):
            if column["facet"] is None:
                column["values"][one["run"]] = value
    for name in ("facets", "diverged", "table", "runs", "keys", "choices", "metrics"):
        assert old[name] == new[name], name
    assert "3 " in changes["fragments"]["summary"]  # done
    assert changes["runs"][0]["epochs"]["epoch"] == [1, 2, 3, 4]


def test_for_new_runs_and_versions_of_another_server_the_page_is_loaded_again(live, sweep):
    since = version(live)
    assert live.changes(since + 1) is None
    write_runs(sweep.path, [configuration(seed=9, epochs=4)])
    assert live.look()
    assert live.changes(since) is None
    assert len(data(live)["runs"]) == SEEDS + 1


def test_a_sweep_that_is_emptied_stays_as_it_was_read_last(live, sweep):
    sweep.runs.rename(sweep.path / "away")
    assert not live.look()
    assert len(data(live)["runs"]) == SEEDS


def test_figures_come_when_they_are_drawn(live):
    since = version(live)
    assert "Being drawn" in live.html().decode()
    live.draw()
    assert list(json.loads(live.changes(since))["fragments"]) == ["figures"]
    assert "Being drawn" not in live.html().decode()
    now = version(live)
    live.draw()  # of the same runs
    assert version(live) == now


@pytest.fixture
def server(live):
    server = Server(live)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=60)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_without_the_token_nothing_is_answered(server):
    assert server.server_address[0] == "127.0.0.1"
    token = server.token
    for path in (
        "/",
        "/changes?since=1",
        f"/{token[:-1]}/",
        f"/{token}x/",
        "/favicon.ico",
        f"/?token={token}",
        "/%C3%A9",
    ):
        assert ask(server, path) == (403, b""), path
    assert ask(server, f"/{token}/", Host="example.org")[0] == 403  # a name that somebody else made lead here
    assert ask(server, f"/{token}/")[0] == 200


def test_it_answers_four_questions_and_writes_nothing(server, live, sweep):
    before, at = files(sweep), f"/{server.token}"
    name = open_run(sweep).path.name
    assert b"<h1>s</h1>" in ask(server, f"{at}/")[1]
    assert ask(server, f"{at}/changes?since={version(live)}") == (204, b"")
    assert ask(server, f"{at}/changes?since=-1")[0] == ask(server, f"{at}/changes")[0] == 205
    status, detail = ask(server, f"{at}/run?name={name}")
    assert (status, json.loads(detail)["attempts"][0][0]) == (200, "1")
    for path in ("/run?name=../s", "/run", "/run/", "/../", "/other", ""):
        assert ask(server, at + path)[0] == 404, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(server, f"{at}/", method)[0] == 501
    live.draw()
    assert files(sweep) == before


def command(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", "from multirun_analysis.command import main; main()", "serve", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 0), (signal.SIGHUP, -signal.SIGHUP)])
def test_the_command_ends_with_ctrl_c_and_with_its_terminal(sweep, how, code):
    process = command(sweep.path)
    address = process.stdout.readline().strip()
    assert address.startswith(f"http://{HOST}:")
    process.send_signal(how)
    assert process.wait() == code
    assert "Traceback" not in process.stderr.read()


def test_a_port_that_is_taken_is_said(server, sweep):
    process = command(sweep.path, "--port", server.server_port)
    out, err = process.communicate()
    assert (process.returncode, out) == (2, "")
    assert f"--port {server.server_port}: " in err


def test_a_glance_brings_the_new_epoch_and_reads_nothing_else(live, sweep, monkeypatch):
    live.look()
    since, run = version(live), open_run(sweep)
    grow(run)
    monkeypatch.setattr(live, "_load", lambda: pytest.fail("it was read as a whole"))
    assert live.glance()
    assert not live.glance()
    (changed,) = json.loads(live.changes(since))["runs"]
    assert data(live)["runs"][changed["run"]] == run.path.name
    assert changed["epochs"]["test_error"][-1] == 12.5
    assert version(live) == since  # a page that is loaded now is told of it, too


def test_what_a_glance_has_seen_stays_when_all_is_read(live, sweep):
    live.look()
    since = version(live)
    grow(open_run(sweep))
    assert live.glance()
    first = json.loads(live.changes(since))["runs"][0]["epochs"]
    live.look()
    assert json.loads(live.changes(since))["runs"][0]["epochs"] == first
