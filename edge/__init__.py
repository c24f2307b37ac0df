"""The agent on the gateway: sensors in, sealed and confirmed batches out.

In: serial ports, Modbus buses, a network server's MQTT, an access point's HTTP. Out: batches on
the cloud's broker, each kept on disk until the cloud confirms that the database has it.
"""
