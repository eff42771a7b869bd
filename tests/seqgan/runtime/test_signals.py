import os
import signal
import threading

import pytest

from seqgan.runtime.signals import STOPPING, collect_stop_requests, unwind_on_signals


def send(number):
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def handlers():
    """The handlers of a process that was started from a terminal; checks that they come back."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in STOPPING}
    yield
    assert all(signal.getsignal(number) is signal.default_int_handler for number in STOPPING)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_is_kept_and_the_second_interrupts(number):
    with collect_stop_requests() as requests:
        assert requests.first is None
        send(number)
        assert requests.first == number
        with pytest.raises(KeyboardInterrupt) as stop:
            send(signal.SIGTERM)
        assert stop.value.args == (signal.SIGTERM,)
        assert requests.first == number


def test_no_number_of_signals_interrupts_what_is_protected():
    with collect_stop_requests() as requests:
        try:
            with requests.protect(), requests.protect():
                for number in (*STOPPING, *STOPPING):
                    send(number)
        except KeyboardInterrupt:
            pytest.fail("interrupted")
        assert requests.first == signal.SIGINT
        assert len(requests.received) == 6
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_what_fails_under_protection_protects_no_longer():
    with collect_stop_requests() as requests:
        with pytest.raises(RuntimeError), requests.protect():
            raise RuntimeError
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


@pytest.mark.parametrize("number", STOPPING)
def test_every_signal_unwinds(number):
    with pytest.raises(KeyboardInterrupt) as stop, unwind_on_signals():
        send(number)
    assert stop.value.args == (number,)


@pytest.mark.parametrize("handle", [collect_stop_requests, unwind_on_signals])
def test_an_ignored_signal_stays_ignored(handle):
    """As ``nohup`` asks for."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with handle():
        send(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    signal.signal(signal.SIGHUP, signal.default_int_handler)


def test_other_threads_run_without_handlers():
    seen = []

    def work():
        with collect_stop_requests() as requests, unwind_on_signals():
            seen.append(requests.first)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]
