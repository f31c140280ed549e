"""Asks a netpold at 127.0.0.1:9480 many questions by address over one stream that stays open.

A call of its own for each question costs a new HTTP/2 stream, which is most of the time. Each worker of a program opens one
StreamAllowed instead, and asks one question at a time in it.
"""

import asyncio
import ipaddress
import pathlib
import sys
import time

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "proto"))
decision, services = grpc.protos_and_services("netpold/v1/decision.proto")  # grpcio-tools generates both


class Worker:
    """A stream for one worker, which waits for each answer before it asks again."""

    def __init__(self, stub):
        self.stream = stub.StreamAllowed()

    async def allowed(self, src, dst, port):
        """Returns whether src may connect to a TCP port of dst. An error means "not answered": never take it as allowed."""
        width = {4: "src_ipv4", 6: "src_ipv6"}[src.version], {4: "dst_ipv4", 6: "dst_ipv6"}[dst.version]
        addresses = {width[0]: src.packed, width[1]: dst.packed}
        # Both raise grpc.RpcError when the stream breaks: open another, and ask again.
        await self.stream.write(decision.StreamAllowedRequest(ports=port.to_bytes(2, "big"), **addresses))
        answer = await self.stream.read()
        if answer is grpc.aio.EOF:
            raise ConnectionError("the stream has ended")
        for wrong in answer.errors:
            raise ValueError(wrong.error.message)
        return answer.allowed[0] & 1 == 1


async def main():
    async with grpc.aio.insecure_channel("127.0.0.1:9480") as channel:
        stub = services.DecisionServiceStub(channel)
        worker = Worker(stub)
        frontend, cart = ipaddress.ip_address("10.20.1.11"), ipaddress.ip_address("10.20.1.12")
        for port in (7070, 7071):
            print(port, "allowed" if await worker.allowed(frontend, cart, port) else "denied")
        try:
            await worker.allowed(frontend, cart, 0)
        except ValueError as wrong:
            print("not answered:", wrong)

        count, start = 2000, time.monotonic()
        for _ in range(count):
            await worker.allowed(frontend, cart, 7070)
        over_stream = time.monotonic() - start
        await worker.stream.done_writing()

        question = decision.AllowedRequest(src={"ip": str(frontend)}, dst={"ip": str(cart)}, port=7070)
        start = time.monotonic()
        for _ in range(count):
            await stub.Allowed(question, timeout=5)
        print(f"over the stream {(time.monotonic() - start) / over_stream:.1f} times as fast as by a call for each")


asyncio.run(main())
