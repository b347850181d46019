# The image of the operator: one program on a base without a shell, as a user without rights.
# Mirrors and air gaps: --build-arg RUST=… --build-arg RUNTIME=…; the runtime needs glibc and libgcc, and nothing else.
ARG RUST=docker.io/library/rust:1.95-bookworm
ARG RUNTIME=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST} AS build
WORKDIR /src
# The dependencies by themselves, so that they are compiled again only when they change.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/it \
 && echo 'fn main() {}' | tee src/main.rs >tests/it/main.rs \
 && touch src/lib.rs \
 && cargo build --profile dist --locked --bin rempart
COPY src src
RUN touch src/lib.rs src/main.rs && cargo build --profile dist --locked --bin rempart

# What is in the program, for scanners; apart, so that the tool's own code never runs where the program is made. The same sources give the same bytes.
FROM ${RUST} AS sbom
RUN cargo install --locked --version 0.5.9 cargo-cyclonedx
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/it && touch src/main.rs src/lib.rs tests/it/main.rs
ARG SOURCE_DATE_EPOCH=0
RUN cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --no-build-deps

FROM ${RUNTIME}
ARG REVISION=""
LABEL org.opencontainers.image.title="rempart" \
      org.opencontainers.image.description="Sovereign workload placement for Kubernetes: sensitive data only on clouds trusted for it" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /src/target/dist/rempart /usr/local/bin/rempart
COPY --from=sbom /src/rempart_bin.cdx.json /usr/share/doc/rempart/sbom.cdx.json
USER 65532:65532
EXPOSE 8080 9443
ENTRYPOINT ["/usr/local/bin/rempart"]
CMD ["run"]
