# The release build and what the images hold, made with docker alone: docker/build --from-source does it. /images/NAME is
# what docker/stage collects for the image NAME.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates
WORKDIR /src
# Packages before sources: a change of ours does not fetch them again.
COPY scripts/lib/packages.sh scripts/lib/
RUN bash -c 'source scripts/lib/packages.sh && larder_install build'
COPY . .
RUN cmake --preset release -DLARDER_TESTS=OFF \
    && cmake --build build/release --target larder larder-agent larder-tracker larder-peer-manager
RUN for image in agent tracker peer-manager cli; do \
      docker/stage "$image" --bin build/release/bin --out "/images/$image" || exit 1; \
    done
