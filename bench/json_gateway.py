"""The peer on the wire: a gateway that sends each reading as a JSON message of its own, QoS 1, TLS.

    python -m bench.json_gateway --broker 10.231.2.1:8883 --tls ca.pem certificate.pem key.pem

In: a line of line protocol a line of standard input. Out: the topic and the JSON that the
ThingsBoard gateway uses. A message waits for the PUBACK of the one before and for the time that TCP
may delay an acknowledgement: readings are seconds apart, so none shares a packet with the next.
"""

from __future__ import annotations

import argparse
import ssl
import sys
import threading

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from wire.line import parse_line

TOPIC = "v1/gateway/telemetry"
APART_S = 0.045
"""Linux delays an acknowledgement by 40 ms."""

_QUIET = threading.Event()


def json_of(line: str) -> bytes:
    """One reading as the ThingsBoard gateway writes it."""
    reading, _, _ = parse_line(line)
    said = {reading.device: [{"ts": reading.time_ms, "values": dict(reading.fields)}]}
    return msgspec.json.encode(said)


def main() -> int:
    parser = argparse.ArgumentParser(description="readings as JSON messages")
    parser.add_argument("--broker", required=True, metavar="HOST:PORT")
    parser.add_argument("--tls", nargs=3, required=True, metavar="FILE")
    options = parser.parse_args()
    authority, certificate, key = options.tls
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    host, _, port = options.broker.rpartition(":")
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="gateway", protocol=paho.MQTTv5)
    client.tls_set_context(context)
    client.connect(host, int(port), keepalive=300)
    client.loop_start()
    print("connected", flush=True)
    sent = payload_bytes = 0
    for line in sys.stdin:
        payload = json_of(line.rstrip("\n"))
        client.publish(TOPIC, payload, qos=1).wait_for_publish()
        _QUIET.wait(APART_S)
        sent, payload_bytes = sent + 1, payload_bytes + len(payload)
    print(f"sent {sent} payload_bytes {payload_bytes}", flush=True)
    client.disconnect()
    client.loop_stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
