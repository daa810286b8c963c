# Both bases can be others, as long as they are Debian's kin: the first with Rust, the second with nothing.
ARG BUILD_IMAGE=docker.io/library/rust:1.95-bookworm
ARG RUN_IMAGE=docker.io/library/debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev libpq-dev pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The dependencies in a layer of their own: they change less often than the code.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches/http \
 && touch src/lib.rs benches/http/main.rs \
 && echo 'fn main() {}' > src/main.rs \
 && cargo build --release --locked --no-default-features
COPY . .
# Cargo goes by the time of files, and these may be older than the ones they take the place of.
RUN touch src/lib.rs src/main.rs \
 && cargo build --release --locked --no-default-features

FROM ${RUN_IMAGE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libpq5 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin yiyong \
 && install -d -o yiyong -g yiyong -m 0700 /data
COPY --from=build /src/target/release/yiyong /usr/local/bin/yiyong
USER 10001
WORKDIR /data
# The SQLite file and the keys of the first start.
VOLUME /data
ENV YIYONG_DATA_DIR=/data YIYONG_BIND=0.0.0.0:8080
# Left alone, glibc keeps an arena of freed memory for each of some twenty threads, and from the second sign-in on the 19 MB that hashing
# a password takes, in each arena that it was taken from.
ENV MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=4194304
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["yiyong", "health"]
# It gets SIGTERM itself; give it longer than the default ten seconds: docker stop --time 40.
STOPSIGNAL SIGTERM
ENTRYPOINT ["yiyong"]
CMD ["serve"]
