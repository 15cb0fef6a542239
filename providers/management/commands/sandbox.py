import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from providers.sandbox.samples import DEFAULT_BUYER
from providers.sandbox.server import SandboxServer


class Command(BaseCommand):
    help = "Serve platforms to practise on. The control page is under /control/."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=8900, help="port to listen on (default: %(default)s)")
        parser.add_argument(
            "--seed",
            nargs="?",
            const=DEFAULT_BUYER,
            default="",
            metavar="SIREN",
            help="deposit the sample invoices for this buyer as soon as somebody registers for received invoices"
            f" (without a SIREN: {DEFAULT_BUYER})",
        )
        parser.add_argument(
            "--state", type=Path, metavar="FILE", help="keep what the platforms know in this file, from run to run"
        )
        parser.add_argument("--quiet", action="store_true", help="do not print every call")

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        wish = {name: options[name] for name in ("host", "port", "seed", "quiet", "state")}
        server = SandboxServer(**wish)
        with server:
            self.stdout.write(f"Sandbox platforms: {server.url}  control page: {server.url}/control/")
            self.stdout.flush()
            try:
                server.wait()
            except KeyboardInterrupt:
                self.stdout.write("Sandbox stopped.")
