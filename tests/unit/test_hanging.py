"""What is said of a test that hangs."""

from __future__ import annotations

import asyncio
import threading

from tests.hanging import where_all_are


def test_all_threads_and_coroutines_are_told_by_their_innermost_calls() -> None:
    over = threading.Event()
    threads = [threading.Thread(target=over.wait, name="waits") for _ in range(2)]

    async def said() -> str:
        async def waits_for_nothing() -> None:
            await asyncio.sleep(60)

        task = asyncio.create_task(waits_for_nothing())
        await asyncio.sleep(0)
        try:
            return where_all_are()
        finally:
            task.cancel()

    for thread in threads:
        thread.start()
    try:
        lines = asyncio.run(said()).splitlines()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert any(line.startswith("2 x waits: threading.py:") for line in lines)
    assert any(line.startswith("1 x coroutine: tasks.py:") and "< test_hanging.py:" in line for line in lines)
