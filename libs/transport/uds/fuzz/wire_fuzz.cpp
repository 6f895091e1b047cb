#include <cstdint>
#include <cstdlib>

#include "src/wire.h"

// Any bytes as any record, seen from both ends: nothing but a typed error may come of them, and what decodes encodes to
// the same again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace uds = larder::transport::uds;
  using larder::base::ByteReader;
  using larder::base::ByteWriter;
  const auto record = std::as_bytes(std::span(data, size));
  const auto header = uds::DecodeHeader(record);
  if (!header.ok()) return 0;
  const auto payload = record.subspan(uds::kHeaderSize);
  {
    ByteReader in(payload);
    const uds::Creation creation = uds::TakeCreation(in);
    if (in.done() && creation.request.meta.tags.size() < 0xFFFF) {
      ByteWriter out;
      uds::PutCreation(out, creation);
      ByteReader again(out.bytes());
      if (uds::TakeCreation(again).request.key != creation.request.key || !again.done()) std::abort();
    }
  }
  {
    ByteReader in(payload);
    const larder::object::SealResult sealed = uds::TakeSealed(in);
    if (in.done()) {
      ByteWriter out;
      uds::PutSealed(out, sealed);
      ByteReader again(out.bytes());
      if (uds::TakeSealed(again).info.digest != sealed.info.digest || !again.done()) std::abort();
    }
  }
  {
    ByteReader in(payload);
    const auto extents = uds::TakeExtents(in);
    if (in.ok() && extents.size() * 32 + 2 > payload.size()) std::abort();
  }
  ByteReader digest(payload);
  uds::TakeDigest(digest);
  if (header->code != 0) (void)uds::TakeError(header->code, payload).ok();
  return 0;
}
