import socket
from datetime import timedelta
from threading import Event, Thread
from types import TracebackType
from typing import Self, override

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local.xero_simulator.clock import Now, SimulatorClock, utc_now
from local.xero_simulator.faults import FaultPlan
from local.xero_simulator.identity_server import IdentityServer
from local.xero_simulator.journal import Journal
from local.xero_simulator.simulation import Simulation
from local.xero_simulator.web import wsgi_application

HOST = "127.0.0.1"


class _RequestHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    @override
    def log(self, type: str, message: str, *args: object) -> None:
        """Say nothing: the lines would show codes and states; the journal is there to be read."""

    @override
    def connection_dropped(self, error: BaseException, environ: dict[str, object] | None = None) -> None:
        # Otherwise HTTP/1.1 keeps the connection open and the client waits for an answer.
        self.close_connection = True


class XeroSimulator:
    """Xero over HTTP on a loopback port, as a context manager or by `start` and `stop`."""

    def __init__(
        self,
        *,
        port: int = 0,
        now: Now = utc_now,
        first_successor_survives: bool = True,
        reconsent_keeps_auth_event_id: bool = True,
    ) -> None:
        # The address is part of every token, so the socket comes first.
        self._listener = socket.create_server((HOST, port), backlog=128)
        self.url = f"http://{HOST}:{self._listener.getsockname()[1]}"
        self.clock = SimulatorClock(now)
        self.identity_server = IdentityServer(
            issuer=self.url,
            now=self.clock,
            first_successor_survives=first_successor_survives,
            reconsent_keeps_auth_event_id=reconsent_keeps_auth_event_id,
        )
        self._simulation = Simulation(self.identity_server, self.clock)
        self._stopping = Event()
        self._server: BaseWSGIServer | None = None
        self._thread: Thread | None = None

    @property
    def faults(self) -> FaultPlan:
        return self._simulation.faults

    @property
    def journal(self) -> Journal:
        return self._simulation.journal

    def start(self) -> Self:
        """Serve in a thread of its own; a simulator starts once."""
        self._server = make_server(
            HOST,
            0,
            wsgi_application(self._simulation, self._sleep),
            threaded=True,
            request_handler=_RequestHandler,
            fd=self._listener.fileno(),
        )
        self._thread = Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.02},
            name="xero-simulator",
            daemon=True,
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving, cut delays short, and free the port; harmless when stopped already."""
        self._stopping.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._listener.close()

    def reset(self) -> None:
        """Return to the state in which the simulator was started."""
        self._simulation.reset()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _sleep(self, duration: timedelta) -> None:
        self._stopping.wait(duration.total_seconds())
