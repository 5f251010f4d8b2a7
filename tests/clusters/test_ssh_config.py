"""What is said of clusters over SSH, and how it is shown; no host is touched."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import Any

import pytest

import clusters
from clusters.kinds.ssh.config import SshConfig

SECRET = "s3cret-in-the-clear"


def configured(**options: Any) -> SshConfig:
    config = clusters.configure("ssh", **options)
    assert isinstance(config, SshConfig)
    return config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "hosts: missing; the hosts, each as"),
        ({"hosts": []}, r"hosts=\[\]: expected a list of at least one host"),
        ({"hosts": "a"}, "hosts='a': expected a list of at least one host"),
        ({"hosts": ["a b"]}, r"hosts\[0\]='a b': expected '\[user@\]host\[:port\]'"),
        ({"hosts": ["a", "b:x"]}, r"hosts\[1\]='b:x': expected '\[user@\]host\[:port\]'"),
        (
            {"hosts": ["-oProxyCommand=true"]},
            "host='-oProxyCommand=true': expected text of one line that does not start",
        ),
        ({"hosts": [3]}, r"hosts\[0\]=3: expected"),
        ({"hosts": ["a:99999"]}, "port=99999: expected a port"),
        ({"hosts": [{"host": "a", "prot": 3}]}, r"hosts\[0\]: unknown key 'prot'; did you mean 'port'?"),
        ({"hosts": [{"port": 3}]}, "host: missing"),
        ({"hosts": ["a"], "user": "-x"}, "user='-x': expected text of one line"),
        ({"hosts": ["a"], "prot": 22}, "unknown key 'prot'; did you mean 'port'?"),
        ({"hosts": ["a"], "password": SECRET}, "unknown key 'password'"),
        ({"hosts": ["a"], "port": "22"}, "port='22': expected a port"),
        ({"hosts": ["a"], "keys": [3]}, r"keys\[0\]=3: expected text of one line"),
        ({"hosts": ["a"], "ssh_config": True}, "ssh_config=True: expected a file, or False"),
        ({"hosts": ["a"], "tunnel": "yes"}, "tunnel='yes': Input should be a valid boolean"),
        ({"hosts": ["a"], "lost_after": 0}, "lost_after=0: expected a time above 0"),
        ({"hosts": ["a"], "lost_after": None}, "lost_after=None: expected a time above 0"),
        ({"hosts": ["a"], "image": "dask"}, "image: means nothing to a cluster of kind ssh; say which Python"),
        ({"hosts": ["a"], "bastion": "b:c"}, "bastion='b:c': expected"),
    ],
)
def test_wrong_keys_and_values(options: dict[str, Any], message: str) -> None:
    with pytest.raises(clusters.ConfigError, match=message) as caught:
        clusters.configure("ssh", **options)
    assert SECRET not in str(caught.value)


def test_hosts_may_be_written_in_several_ways() -> None:
    hosts = ["a", "me@b", "c:2222", "me@d.example:22", "::1", "[fe80::1]:24", {"host": "e", "python": "/p"}]
    config = configured(hosts=hosts, user="you", port=23, python="/q")
    found = [(h.host, config.user_on(h), config.port_on(h), config.python_on(h)) for h in config.ssh.hosts]
    assert found == [
        ("a", "you", 23, "/q"),
        ("b", "me", 23, "/q"),
        ("c", "you", 2222, "/q"),
        ("d.example", "me", 22, "/q"),
        ("::1", "you", 23, "/q"),
        ("fe80::1", "you", 24, "/q"),
        ("e", "you", 23, "/p"),
    ]
    assert [str(h) for h in config.ssh.hosts[3:6]] == ["me@d.example:22", "[::1]", "[fe80::1]:24"]
    assert config.scheduler_host == config.ssh.hosts[0]
    assert configured(hosts=["a"], scheduler="s").scheduler_host.host == "s"
    assert configured(hosts=["a"]).python_on(config.ssh.hosts[0]) == sys.executable


def test_render_shows_what_runs_where_and_no_secret() -> None:
    text = clusters.render(
        "ssh",
        hosts=["a", "me@b:2222"],
        workers=(3, 5),
        memory="4GiB",
        threads=2,
        env={"TOKEN": SECRET},
        bastion="you@door:24",
        keys="~/.ssh/id of mine",
        known_hosts="/k",
        python="/opt/my env/bin/python",
        idle_timeout="1 hour",
    )
    assert re.findall("^# distributed.(.*), listening", text, re.M) == [
        "Scheduler on a",
        "Nanny on a",
        "Nanny on me@b:2222",
        "Nanny on a",
    ]
    assert '"idle_timeout": 3600.0' in text
    assert '"nthreads": 2, "memory_limit": 4294967296, "protocol": "tls://"' in text
    assert '"name": "b-1"' in text
    assert "variables TOKEN;" in text
    assert "ssh -J you@door:24 -p 2222 -i '~/.ssh/id of mine' -o UserKnownHostsFile=/k me@b 'exec " in text
    assert "/opt/my env/bin/python" in text
    assert text.endswith("# workers follow the work: 3 to 5, on the hosts with the fewest\n")
    assert SECRET not in text


def test_missing_asyncssh_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr("clusters.kinds.find_spec", lambda name: None if name == "asyncssh" else there(name))
    for call in (clusters.start, clusters.check):
        with pytest.raises(clusters.ExtraNotInstalled, match=r'kind ssh needs asyncssh: pip install "dhpo\[ssh\]"'):
            call("ssh", hosts=["a"])
    assert clusters.render("ssh", hosts=["a"])
