"""Banner SureCross DX80 M-GAGE: wireless magnetometer in a bay, read through its DX80 gateway.

Link: Modbus RTU, the gateway's unit 1, 19200 8N1 as delivered; `node` in the configuration is the
sensor's device number, 1 to 47. Sixteen registers a device; register 1 on the sheet is 0 here.

    read holding 16 * node, eight registers, big-endian

    | I/O 1 deviation u16 | I/O 2 ... I/O 7 | I/O 8 message u16 |
    | 01 2C               | 00 00 ...       | 00 00             |     300: a vehicle

    deviation  of the magnetic field from the stored baseline; occupied above 150
    message    3501 this sensor has dropped out of the radio network: what I/O 1 says is old

150 is in the middle of the thresholds that the sensor itself can be set to (50 to 800): an
assumption. For another one, or for sensors set to tell 0 or 1, declare the same registers as a
`[register_map]` of the gateway.
Integrity is the Modbus frame's CRC, checked by the link.
Sources: Banner p/n 131598 rev. F, pages 3 (registers) and 7 (thresholds; the frame 01 06 00 1C for
register 13 of node 1 shows that addresses begin at 0); the M-GAGE Gateway's data sheet, page 6 (the
same registers); DX80 "Host Controller Systems", page 18, and DX80 manual 10.3 (message 3501).
"""

from __future__ import annotations

from devices.register_driver import driver_of_map
from devices.register_map import Register, RegisterMap

STRIDE = 16
THRESHOLD = 150.0
LOST = 0x3501

DRIVER = driver_of_map(
    "banner_dx80_m_gage",
    RegisterMap(
        kind="parking_spot",
        vendor="Banner",
        models=("DX80 M-GAGE node",),
        baudrate=19_200,
        stride=STRIDE,
        gap=6,
        value=(
            Register(register=0, field="occupied", above=THRESHOLD),
            Register(register=7, fault=(LOST,)),
        ),
    ),
)
