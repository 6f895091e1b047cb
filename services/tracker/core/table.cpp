#include "core/table.h"

#include "larder/base/codec.h"

namespace larder::tracker {

base::Sha256Digest DigestOf(Reader& reader) {
  base::Sha256 sha;
  reader.Scan("", "", [&sha](std::string_view key, std::string_view value) {
    base::ByteWriter sizes;
    sizes.U64(key.size()).U64(value.size());
    sha.Update(sizes.bytes());
    sha.Update(base::AsBytes(key));
    sha.Update(base::AsBytes(value));
    return true;
  });
  return sha.Finish();
}

}  // namespace larder::tracker
