"""larder.aio against the fake agent."""

import asyncio
import tempfile
import unittest
import warnings
from unittest import mock

import fake_agent
import larder.aio
from content import MIB, pattern
from fake_agent import PATIENCE, FakeAgent


class AioTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        warnings.simplefilter("error", ResourceWarning)
        self.agent = FakeAgent(self.enterContext(tempfile.TemporaryDirectory()))
        self.addCleanup(self.agent.close)
        self.client = await larder.aio.connect(self.agent.endpoint, timeout=PATIENCE)
        self.addAsyncCleanup(self.client.close)

    async def until(self, wait, *arguments):
        await asyncio.get_running_loop().run_in_executor(None, wait, *arguments)

    async def test_the_calls_of_the_client_are_there_and_awaited(self):
        async with self.client.create("k", {"ttl": 60}) as obj:
            await obj.write(b"Hello")
            result = await obj.seal()
        self.assertEqual((obj.id, obj.result), ("k", result))
        async with self.client.get("k") as obj:
            self.assertEqual(obj.buffer, b"Hello")
        await self.client.put("l", b"x")
        self.assertEqual(await self.client.get_bytes("l"), b"x")
        await self.client.create_many({"m": b"y"})
        with await self.client.get_many(["l", "m"]) as found:
            self.assertEqual([bytes(obj.buffer) for obj in found], [b"x", b"y"])
        await self.client.pin("k")
        self.assertTrue((await self.client.stat("k")).pinned)
        await self.client.unpin("k")
        self.assertEqual([info.key for info in await self.client.list()], ["k", "l", "m"])
        await self.client.delete("k")
        self.assertFalse(await self.client.exists("k"))
        with self.assertRaises(larder.NotFound):
            await self.client.get("k")

    async def test_handles_can_be_awaited_without_with(self):
        writer = await self.client.create("k")
        view = await writer.buffer(MIB)
        view[:] = pattern(MIB)
        await writer.seal()
        reader = await self.client.get("k")
        self.assertEqual(reader.buffer, pattern(MIB))
        reader.close()

    async def test_leaving_async_with_discards(self):
        async with self.client.create("k") as obj:
            await obj.write(b"x")
        await self.until(self.agent.wait_leases, 0)
        self.assertFalse(await self.client.exists("k"))

    async def test_a_cancelled_get_gives_its_lease_back(self):
        self.agent.add("k", pattern(MIB))
        with self.agent.hold(fake_agent.GET):
            task = asyncio.ensure_future(self.client.get("k").__aenter__())
            await self.until(self.agent.wait_seen, fake_agent.GET)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
        await self.until(self.agent.wait_leases, 0)

    async def test_a_cancelled_create_gives_its_lease_back(self):
        with self.agent.hold(fake_agent.CREATE):
            task = asyncio.ensure_future(self.client.create("k").__aenter__())
            await self.until(self.agent.wait_seen, fake_agent.CREATE)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
        await self.until(self.agent.wait_leases, 0)
        await self.client.put("k", b"x")

    async def test_a_cancelled_create_keeps_no_thread_though_the_first_creator_goes_on(self):
        with mock.patch("larder.aio._OPENERS", 2), mock.patch("larder._link._LOOK", 0.01):
            async with await larder.aio.connect(self.agent.endpoint, timeout=PATIENCE) as client:
                async with self.client.create("k"):
                    tasks = [asyncio.ensure_future(client.create("k").__aenter__()) for _ in range(2)]
                    await self.until(self.agent.wait_seen, fake_agent.CREATE, 3)
                    for task in tasks:
                        task.cancel()
                    await asyncio.wait(tasks)
                    await client.put("other", b"x")
                await self.until(self.agent.wait_leases, 0)

    async def test_a_write_that_was_cancelled_leaves_nothing_but_discard(self):
        with mock.patch("larder._link._LOOK", 0.01), self.agent.hold(fake_agent.WRITE):
            writer = await self.client.create("k")
            task = asyncio.ensure_future(writer.write(pattern(20 * MIB)))
            await self.until(self.agent.wait_seen, fake_agent.WRITE)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            with self.assertRaises(larder.Conflict) as caught:
                await writer.seal()
            self.assertEqual(caught.exception.reason, "DISCARDED")
        await self.until(self.agent.wait_leases, 0)

    async def test_a_cancelled_write_is_over_before_its_creation_is_discarded(self):
        async def work():
            async with self.client.create("k") as obj:
                await obj.write(pattern(20 * MIB))

        with self.agent.hold(fake_agent.WRITE):
            task = asyncio.ensure_future(work())
            await self.until(self.agent.wait_seen, fake_agent.WRITE)
            task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        await self.until(self.agent.wait_leases, 0)
        self.assertFalse(await self.client.exists("k"))

    async def test_more_waiting_creators_than_threads_do_not_keep_the_first_from_its_seal(self):
        async with self.client.create("k") as obj:
            others = [asyncio.ensure_future(self.client.put("k", b"same")) for _ in range(40)]
            await self.until(self.agent.wait_seen, fake_agent.PUT, 30)
            await obj.write(b"same")
            await obj.seal()
        self.assertTrue(all(result.existed for result in await asyncio.gather(*others)))


if __name__ == "__main__":
    unittest.main()
