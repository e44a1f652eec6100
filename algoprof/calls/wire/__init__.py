"""A call as bytes on the network, and an answer back: the platform's contract, two transports, one deadline."""
