// libprecis_client.so is made of the static library whole; CMake wants one source of its own.
