# A static binary in an empty image. Build for another architecture with the builder's --platform.
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY testkit testkit
RUN TARGET="$(uname -m)-unknown-linux-gnu" \
 && RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --profile dist --target "$TARGET" --bin regferry \
 && install -D "target/$TARGET/dist/regferry" /out/usr/local/bin/regferry \
 && install -D /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt

FROM scratch
COPY --from=build /out/ /
ENV REGFERRY_LISTEN=0.0.0.0:9464
USER 65532:65532
EXPOSE 9464
ENTRYPOINT ["/usr/local/bin/regferry"]
CMD ["serve", "--config", "/etc/regferry/regferry.toml"]
