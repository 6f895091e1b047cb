#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "tests/golden_fields.h"

// The payloads of golden records between bytes and the JSON that docs/formats/golden/uds has of their fields, by the
// code that the agent and its clients use.
namespace larder::transport::uds {

// "HELLO", or nothing for a number that is no operation. A new one has its case here, or does not compile.
std::optional<std::string_view> OpName(Op op);

// A payload of `kind` ("request", "reply", "refusal" or "notice") as the fields say.
std::vector<std::byte> EncodeFields(std::string_view kind, Op op, const Json& record);
// The fields that a payload says, or BAD_RECORD. `code`: the header's.
absl::StatusOr<Json> DecodeFields(std::string_view kind, Op op, uint32_t code, base::ByteSpan payload);

}  // namespace larder::transport::uds
