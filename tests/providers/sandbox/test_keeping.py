"""What the platforms know outlives a restart of the sandbox."""

import logging

from providers.sandbox.server import SandboxServer

SIREN = "800112237"


def test_invoices_and_logins_are_kept_from_run_to_run(tmp_path):
    state = tmp_path / "sandbox"
    quick = {"echo_delay": 0, "auto_react": False}
    with SandboxServer(settings=quick, state=state) as first:
        made = {
            dialect: first.control("deposit", dialect=dialect, buyer_siren=SIREN)["invoices"][0]["uuid"]
            for dialect in first.sandbox.dialect_names
            if dialect not in ("cegid", "cegid_od")  # which take invoices only for a subscribed line
        }
        first.wait_idle()
        serial = first.sandbox.state.serial
    with SandboxServer(settings=quick, state=state) as second:
        kept = {name: list(second.sandbox.state.invoices[name]) for name in made}
        again = second.control("deposit", dialect="acube", buyer_siren=SIREN)["invoices"][0]

    assert kept == {dialect: [uuid] for dialect, uuid in made.items()}
    assert (second.sandbox.state.serial, again["number"][-5:]) == (serial + 1, f"{serial + 1:05d}")


def test_file_of_another_version_is_left_alone(tmp_path, caplog):
    state = tmp_path / "sandbox"
    state.write_bytes(b"cno.such.module\nThing\n.")
    with caplog.at_level(logging.WARNING), SandboxServer(state=state) as sandbox:
        assert sandbox.control("deposit", buyer_siren=SIREN)["invoices"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
