# A static binary in an empty image. Nothing here names an architecture: the builder's --platform chooses it. Proven on
# amd64; that it builds for arm64 has not been shown.
FROM docker.io/library/rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY testkit testkit
COPY bench bench
# With a target named, what runs while building is not static too: procedural macros could not be.
RUN target="$(rustc --print host-tuple)" \
 && RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --release --target "$target" --bin regferry \
 && install -D --target-directory=/out/usr/local/bin "target/$target/release/regferry" \
 && install -D --mode=644 --target-directory=/out/etc/ssl/certs /etc/ssl/certs/ca-certificates.crt

# Numbers for a user need no /etc/passwd, time zones are in the binary, and nothing is written to any disk.
FROM scratch
ARG REVISION=unknown
LABEL org.opencontainers.image.title="regferry" \
      org.opencontainers.image.description="Mirrors container images from registry to registry, every digest kept intact" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ /
ENV REGFERRY_LISTEN=0.0.0.0:9464
USER 65532:65532
EXPOSE 9464
# Docker's own: images in OCI's format do not keep it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/usr/local/bin/regferry", "status"]
ENTRYPOINT ["/usr/local/bin/regferry"]
CMD ["serve", "--config", "/etc/regferry/regferry.toml"]
