"""The command line: `algoprof COMMAND`, one module per command."""
