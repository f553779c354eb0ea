# The third-party libraries, all from Debian packages. Those that the static stage program needs too are given by
# their linker name: the linker then takes the archive for a static program and the shared object for the others.
find_package(Threads REQUIRED)
find_package(CURL REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(LibArchive REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(civetweb REQUIRED)
find_package(prometheus-cpp REQUIRED)

# libarchive.a wants libacl, liblzma and libbz2, which its package config does not say.
set(ARCHIVE_LIBRARIES archive acl z zstd deflate lzma bz2)
# What archive/inflate.h's isal_inflater() needs; for dynamic programs, as there is no archive of it.
set(ISAL_LIBRARIES -Wl,--push-state,--no-as-needed,-lisal,--pop-state)
set(CRYPTO_LIBRARIES crypto)
# One item, so that its order stays: only programs that use the cpprestsdk transport then need its shared objects.
set(CPPREST_LIBRARIES -Wl,--push-state,--as-needed,-lcpprest,-lboost_system,-lssl,-lcrypto,--pop-state)
