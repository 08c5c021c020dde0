# syntax=docker/dockerfile:1
# The program, and what it is linked to: for the lab on a cluster (deploy/).
#
#   docker build -t firedrill:dev .
#   kind load docker-image firedrill:dev        # or push it where your cluster pulls from
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# The caches outlive the build, so that a change of one file costs one crate.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin firedrill && cp target/release/firedrill /firedrill

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /firedrill /firedrill
ENTRYPOINT ["/firedrill"]
