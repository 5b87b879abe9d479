"""gunicorn's threaded worker, changed so that slow clients hold no thread that others wait for.

gunicorn gives a connection to a thread before its request is there, and reads and writes without a limit of
time: as many silent clients as there are threads stop a server. Here the main loop collects a request, head
and small body, before a thread gets it; what needs no thread at all it answers by itself (``api.at_once``).
What takes long by its nature, an upload, a download, waiting for a job, has threads of its own, and so have
predictions, which may wait until their model is loaded. Connections are closed by the main loop too, which
waits for nobody.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import takewhile
from selectors import EVENT_READ
from typing import Any

from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import TConn, ThreadWorker

from api import at_once, request_ids
from rowmill.stack import server_errors
from rowmill.stack.arriving import Arriving, Stage
from rowmill.stack.bodies import HeldBack, PacedUnreader
from rowmill.stack.strictness import make_strict

# A head and a small body are a few packets; a telephone that wakes up takes a second or two for them.
REQUEST_SECONDS = 15.0
# A server that stops does not wait so long for the rest of a request.
STOPPING_SECONDS = 2.0
LONG_THREADS = 32
# So long a client may leave a piece of an answer unread: a page or a number, and a block of a file.
ANSWER_SECONDS = 30.0
LONG_ANSWER_SECONDS = 300.0
# What a client still sends to a connection that is being closed is read, or it would not see the answer.
LINGER_SECONDS = 2.0
MAX_LINGER_BYTES = 64 << 10
BLOCK_BYTES = 64 << 10
# A body that nobody read is waited for so long; else its connection ends with the answer.
UNREAD_SECONDS = 0.1
# Too many files are open: some are closed soon.
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
NO_ROOM_SECONDS = 0.5


class Connection(TConn):  # type: ignore[misc]
    """A connection and what arrives on it. ``linger`` closes it without waiting."""

    def __init__(self, *arguments: Any, linger: Callable[[Connection], None]) -> None:
        super().__init__(*arguments)
        self._linger = linger
        self.arriving = Arriving(b"", 0.0)
        self.head = b""  # of the request that is answered
        self.answer_seconds = ANSWER_SECONDS
        self.closes_at = 0.0
        self.discarded_bytes = 0

    def begin(self) -> None:
        """Wait for the next request, of which the last one's reading may have brought a part."""
        received = self.parser.unreader.take_buffered() if self.initialized else b""
        self.arriving = Arriving(received, time.monotonic())
        self.sock.setblocking(False)

    def hand_over(self) -> None:
        """Let gunicorn's parser read what arrived, and then the socket."""
        self.data_ready = True
        if not self.initialized:
            self.init()
            self.parser.unreader = PacedUnreader(self.sock)
        self.parser.unreader.begin(bytes(self.arriving.received))
        self.head, self.arriving = self.arriving.head, Arriving(b"", 0.0)

    def take_back(self, arriving: Arriving) -> None:
        """Undo ``hand_over``, with a new parser for what was received."""
        self.arriving = arriving
        self.initialized = False
        self.parser: Any = None

    def close(self, graceful: bool = False) -> None:
        """End the connection; a graceful end leaves the client time to read the answer."""
        if graceful:
            self._linger(self)
        else:
            super().close()


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """Whatever ``ThreadWorker`` does, with requests that are there before a thread begins."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # both in the order of their beginning, which is the order in which their time is over
        self._arriving: dict[Connection, None] = {}
        self._lingering: dict[Connection, None] = {}
        self._is_postponed = False
        self._accepts_from = 0.0
        self._answering = threading.local()  # whose request a thread answers

    def init_process(self) -> None:
        """Called in the new process, after the fork."""
        # Each kind waits for its own only. The two of predictions bound how many are scored at once, and so
        # what these take in memory: as Python's numbers a large body is hundreds of megabytes.
        self._pools = {
            Stage.PREDICTION: self.get_thread_pool(),
            Stage.LARGE_PREDICTION: self.get_thread_pool(),
            Stage.LONG: ThreadPoolExecutor(LONG_THREADS),
        }
        super().init_process()

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection; one with TLS is gunicorn's own affair."""
        if self.cfg.is_ssl:
            super().accept(listener)
            return
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in _NO_ROOM:
                self.log.warning("No connection is taken for a moment: %s", error)
                self._accepts_from = time.monotonic() + NO_ROOM_SECONDS
                self.set_accept_enabled(False)
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        self.nr_conns += 1
        name = listener.getsockname()
        self.enqueue_req(Connection(self.cfg, sock, client, name, linger=self._linger))

    def set_accept_enabled(self, enabled: bool) -> None:
        """Called before each wait of the main loop."""
        super().set_accept_enabled(enabled and time.monotonic() >= self._accepts_from)

    def enqueue_req(self, conn: TConn) -> None:
        """Wait for the next request of a connection, then give it to a thread."""
        if not isinstance(conn, Connection):
            super().enqueue_req(conn)
            return
        conn.begin()
        self._receive(conn, conn.sock)

    def _receive(self, conn: Connection, sock: socket.socket) -> None:
        block = _received(sock)
        conn.arriving.received += block or b""
        stage = conn.arriving.stage()
        if stage is Stage.INCOMPLETE and block != b"":
            if conn not in self._arriving:
                self._arriving[conn] = None
                self.poller.register(sock, EVENT_READ, partial(self._receive, conn))
            return
        self._forget(conn)
        if stage is Stage.ENDLESS:
            self._refuse(conn, server_errors.HEADERS_TOO_LARGE)
        elif stage is Stage.INCOMPLETE and not conn.arriving.has_head:
            self._drop(conn)  # the client went away
        elif stage is not Stage.PREDICTION or not self._answer_at_once(conn):
            self._start(conn, stage)

    def _forget(self, conn: Connection) -> None:
        if conn in self._arriving:
            del self._arriving[conn]
            self.poller.unregister(conn.sock)

    def _answer_at_once(self, conn: Connection) -> bool:
        """Answer a request in the main loop, where that means waiting for nobody; False if a thread must."""
        arriving = conn.arriving
        if not (arriving.is_alone and arriving.received.startswith(at_once.BEGINNINGS)):
            return False
        conn.answer_seconds = 0.0
        conn.hand_over()
        self._is_postponed = False
        done: Future[Any] = Future()
        with at_once.asking():
            done.set_result(self.handle(conn))
        if self._is_postponed:
            conn.take_back(arriving)
            return False
        self.finish_request(conn, done)
        return True

    def _start(self, conn: Connection, stage: Stage) -> None:
        takes_long = stage in (Stage.LONG, Stage.LARGE_PREDICTION)
        conn.answer_seconds = LONG_ANSWER_SECONDS if takes_long else ANSWER_SECONDS
        conn.hand_over()
        pool: Any = self._pools.get(stage, self.tpool)
        done: Future[Any] = pool.submit(self.handle, conn)
        done.add_done_callback(lambda future: self.method_queue.defer(self.finish_request, conn, future))

    def handle(self, conn: TConn) -> Any:
        """Read and answer a request. Runs in a thread, or in the main loop."""
        self._answering.conn = conn
        return super().handle(conn)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Answer a request whose head was parsed. Runs in a thread."""
        if isinstance(conn, Connection):
            conn.sock.settimeout(conn.answer_seconds)
        make_strict(req)
        if req._expected_100_continue:
            req._expected_100_continue = False  # else gunicorn asks for the body before the app has a say
            req.body = HeldBack(req, conn.sock)
        try:
            return super().handle_request(req, conn)
        except (TimeoutError, BlockingIOError):
            self.log.warning("A client left its answer unread for too long: %s", req.path)
            return False

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        """Whether the connection can be used again. gunicorn waits 5 s for a body that nobody read."""
        try:
            return bool(keepalive and conn.parser.finish_body(deadline=time.monotonic() + UNREAD_SECONDS))
        except (ParseException, OSError) as error:  # the request has its answer; gunicorn would send another
            self.log.debug("What was left of a body cannot be read: %s", error)
            return False

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answer what never reached the app, or failed outside of it. Runs in a thread."""
        if at_once.is_asked():
            self._is_postponed = True
            return
        refusal = server_errors.refusal_of(exc)
        head = getattr(self._answering.conn, "head", b"")
        request_id = request_ids.named_in(head)
        if refusal is server_errors.INTERNAL:
            uri = getattr(req, "uri", "no address was read")
            self.log.exception("Error outside of the app: %s, request %s", uri, request_id)
        else:
            self.log.warning("Invalid request %s from %s: %s", request_id, addr[0] if addr else "", exc)
        client.settimeout(ANSWER_SECONDS)
        try:
            client.sendall(server_errors.answer(refusal, request_id, head))
        except OSError as error:
            self.log.debug("The client did not wait for the error: %s", error)

    def _refuse(self, conn: Connection, refusal: server_errors.Refusal) -> None:
        head = conn.arriving.head
        request_id = request_ids.named_in(head)
        self.log.warning("Request %s was refused: %s", request_id, refusal.code)
        try:
            # it fits into the empty buffer of any socket
            conn.sock.send(server_errors.answer(refusal, request_id, head))
        except OSError as error:
            self.log.debug("The client did not wait for the error: %s", error)
        self.nr_conns -= 1
        conn.close(graceful=True)

    def _drop(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """End what has had its time; called every second."""
        super().murder_pending()
        now = time.monotonic()
        seconds = REQUEST_SECONDS if self.alive else STOPPING_SECONDS
        for conn in list(takewhile(lambda conn: conn.arriving.since + seconds <= now, self._arriving)):
            self._forget(conn)
            if conn.arriving.received:
                self._refuse(conn, server_errors.TOO_SLOW)
            else:
                self._drop(conn)
        for conn in list(takewhile(lambda conn: conn.closes_at <= now, self._lingering)):
            self._end(conn)

    def _linger(self, conn: Connection) -> None:
        """Say that no more will come, and close once the client has said the same."""
        if conn.sock.fileno() < 0:
            return  # it was cut off in the middle of an answer
        self.nr_conns += 1
        conn.closes_at = time.monotonic() + LINGER_SECONDS
        self._lingering[conn] = None
        try:
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, EVENT_READ, partial(self._discard, conn))
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # the client has closed it already
            self._end(conn)

    def _discard(self, conn: Connection, sock: socket.socket) -> None:
        block = _received(sock)
        conn.discarded_bytes += len(block or b"")
        if block == b"" or conn.discarded_bytes > MAX_LINGER_BYTES:
            self._end(conn)

    def _end(self, conn: Connection) -> None:
        del self._lingering[conn]
        self.poller.unregister(conn.sock)
        self._drop(conn)


def _received(sock: socket.socket) -> bytes | None:
    """What a socket has; None if that is nothing yet, empty if the client has ended or broken off."""
    try:
        return sock.recv(BLOCK_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""
