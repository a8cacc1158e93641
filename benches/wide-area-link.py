#!/usr/bin/env python3
"""wide-area-link.py DELAY_MS MBIT PORT: a long line from this machine to itself, in a network namespace of its own.

What is sent to 10.9.0.2 comes back to 10.9.0.1 as from there, half of the delay later and no faster than the line is, in both
directions, through the kernel's own TCP. A line that has more than 50 ms of bytes (or twice the delay) before it drops the next
packet. Packets are of 9,000 bytes: for those of 1,500 this is too slow beyond 1 Gbit/s.
"""

import collections
import fcntl
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def main():
    delay, rate, port = float(sys.argv[1]) / 2000, float(sys.argv[2]) * 1e6 / 8, int(sys.argv[3])
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"wide0", IFF_TUN | IFF_NO_PI))
    for words in ["link set lo up", "addr add 10.9.0.1/24 dev wide0", "link set wide0 mtu 9000 txqueuelen 10000 up"]:
        subprocess.run(["ip", *words.split()], check=True)
    print("ready", flush=True)
    ways, free = [collections.deque(), collections.deque()], [0.0, 0.0]
    backlog = max(0.05, delay * 4)
    while True:
        due = deliver(tun, ways)
        wait = 1 if due is None else max(0, due - time.perf_counter())
        if select.select([tun], [], [], wait)[0]:
            take_in(tun, ways, free, delay, rate, port, backlog)


def deliver(tun, ways):
    """Hands over what has come to its end; when the next packet will."""
    now = time.perf_counter()
    for way in ways:
        while way and way[0][0] <= now:
            try:
                os.write(tun, way[0][1])
            except BlockingIOError:
                break
            way.popleft()
    return min((way[0][0] for way in ways if way), default=None)


def take_in(tun, ways, free, delay, rate, port, backlog):
    for _ in range(64):
        try:
            packet = os.read(tun, 65535)
        except BlockingIOError:
            return
        if packet[0] >> 4 != 4:
            continue
        header = (packet[0] & 15) * 4
        up = int(packet[9] == 6 and struct.unpack("!H", packet[header : header + 2])[0] != port)
        now = time.perf_counter()
        start = max(now, free[up])
        if start - now > backlog:
            continue
        free[up] = start + len(packet) / rate
        # Source and destination change places, which leaves the checksums right.
        ways[up].append((free[up] + delay, packet[:12] + packet[16:20] + packet[12:16] + packet[20:]))


main()
