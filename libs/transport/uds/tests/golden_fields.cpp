#include "tests/golden_fields.h"

#include <fmt/format.h>

#include <charconv>

namespace larder::transport::uds {
namespace {

constexpr uint32_t kOverwrite = 1, kAcceptSame = 2, kWantSha = 4;  // as the document numbers them

}  // namespace

Json DigestJson(const base::Digest& digest) {
  return digest.kind == base::Digest::Kind::kNone ? Json() : Json(base::FormatDigest(digest));
}
base::Digest DigestOf(const Json& json) {
  return json.is_null() ? base::Digest() : *base::ParseDigest(json.get<std::string>());
}

Json TtlJson(const std::optional<base::Duration>& ttl) {
  return ttl ? std::chrono::duration_cast<std::chrono::milliseconds>(*ttl).count() : int64_t{-1};
}
std::optional<base::Duration> TtlOf(const Json& json) {
  if (json == -1) return std::nullopt;
  return std::chrono::milliseconds(json.get<int64_t>());
}

Json CreationJson(const Creation& creation) {
  const object::CreateRequest& request = creation.request;
  const uint32_t flags = (request.overwrite ? kOverwrite : 0) | (request.accept_same_content ? kAcceptSame : 0) |
                         (request.want_sha256 ? kWantSha : 0);
  return {{"flags", flags},
          {"ack", request.ack},
          {"ack_copies", request.ack_replicas},
          {"wanted_copies", request.meta.wanted_replicas},
          {"piece_length", request.meta.piece_length},
          {"size_hint", request.size_hint},
          {"ttl_ms", TtlJson(request.meta.ttl)},
          {"wait_ms", creation.wait_ms},
          {"key", request.key},
          {"application", request.meta.application},
          {"tags", request.meta.tags}};
}
Creation CreationOf(const Json& json) {
  const auto flags = json["flags"].get<uint32_t>();
  return {.request = {.key = json["key"],
                      .size_hint = json["size_hint"],
                      .overwrite = (flags & kOverwrite) != 0,
                      .accept_same_content = (flags & kAcceptSame) != 0,
                      .want_sha256 = (flags & kWantSha) != 0,
                      .ack = json["ack"],
                      .ack_replicas = json["ack_copies"],
                      .meta = {.ttl = TtlOf(json["ttl_ms"]),
                               .tags = json["tags"],
                               .application = json["application"],
                               .wanted_replicas = json["wanted_copies"],
                               .piece_length = json["piece_length"]}},
          .wait_ms = json["wait_ms"]};
}

Json ObjectJson(const object::ObjectInfo& info) {
  return {{"key", info.id.key},
          {"state", info.state},
          {"epoch", info.epoch.value},
          {"size", info.size},
          {"digest", DigestJson(info.digest)},
          {"piece_length", info.meta.piece_length},
          {"ttl_left_ms", TtlJson(info.ttl_left)},
          {"wanted_copies", info.meta.wanted_replicas},
          {"pinned", info.pinned ? 1 : 0},
          {"tier", info.tier},
          {"application", info.meta.application},
          {"tags", info.meta.tags}};
}
object::ObjectInfo ObjectOf(const Json& json) {
  object::ObjectInfo info{.id = {.key = json["key"]},
                          .state = json["state"],
                          .epoch = {json["epoch"]},
                          .size = json["size"],
                          .digest = DigestOf(json["digest"]),
                          .ttl_left = TtlOf(json["ttl_left_ms"]),
                          .pinned = json["pinned"] == 1,
                          .tier = json["tier"]};
  info.meta.piece_length = json["piece_length"];
  info.meta.wanted_replicas = json["wanted_copies"];
  info.meta.application = json["application"];
  info.meta.tags = json["tags"].get<std::vector<std::string>>();
  return info;
}

Json SealedJson(const object::SealResult& result) {
  return {{"object", ObjectJson(result.info)},
          {"ack", result.ack},
          {"durability", result.durability},
          {"existed", result.existed ? 1 : 0}};
}
object::SealResult SealedOf(const Json& json) {
  return {.info = ObjectOf(json["object"]),
          .ack = json["ack"],
          .durability = json["durability"],
          .existed = json["existed"] == 1};
}

Json ExtentsJson(const ExtentList& list) {
  Json extents = Json::array();
  for (const WireExtent& e : list.extents) {
    extents.push_back({{"segment", e.segment},
                       {"flags", e.has_descriptor ? 1 : 0},
                       {"segment_size", e.segment_size},
                       {"offset", e.offset},
                       {"length", e.length}});
  }
  return {{"total", list.total}, {"extents", std::move(extents)}};
}
ExtentList ExtentsOf(const Json& json) {
  ExtentList list{.total = json["total"]};
  for (const Json& e : json["extents"]) {
    list.extents.push_back({.segment = e["segment"],
                            .has_descriptor = e["flags"] == 1,
                            .segment_size = e["segment_size"],
                            .offset = e["offset"],
                            .length = e["length"]});
  }
  return list;
}

CreationLease CreationLeaseOf(const Json& json) { return {.lease = {json["lease"]}, .epoch = {json["epoch"]}}; }
Json CreationLeaseJson(const CreationLease& creation) {
  return {{"lease", creation.lease.value}, {"epoch", creation.epoch.value}};
}
Json Merged(Json one, const Json& other) {
  one.update(other);
  return one;
}

std::vector<object::LeaseId> LeasesOf(const Json& json) {
  std::vector<object::LeaseId> leases;
  for (const Json& lease : json) leases.push_back({lease});
  return leases;
}
Json LeasesJson(const std::vector<object::LeaseId>& leases) {
  Json json = Json::array();
  for (const object::LeaseId lease : leases) json.push_back(lease.value);
  return {{"leases", std::move(json)}};
}

std::vector<std::byte> FromHex(std::string_view hex) {
  std::vector<std::byte> bytes;
  for (size_t at = 0; at + 1 < hex.size(); at += 2) {
    uint8_t value = 0;
    std::from_chars(hex.data() + at, hex.data() + at + 2, value, 16);
    bytes.push_back(std::byte{value});
  }
  return bytes;
}

std::string ToHex(base::ByteSpan bytes) {
  std::string hex;
  for (const std::byte byte : bytes) hex += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return hex;
}

}  // namespace larder::transport::uds
