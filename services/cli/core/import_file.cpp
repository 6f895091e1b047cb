#include "core/import_file.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/digester.h"
#include "core/progress.h"
#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::cli {
namespace {

constexpr uint64_t kSmall = 64 * base::kKiB;
constexpr uint64_t kChunk = base::kMiB;

absl::Status OtherContent(const object::ObjectId& id) {
  return base::Error(absl::StatusCode::kAlreadyExists, "EXISTS",
                     "'{}' exists in namespace '{}' with other content (replace it with --overwrite)", id.key, id.ns);
}

absl::StatusOr<Imported> PutSmall(client::Client& client, Source& source, const object::CreateRequest& request) {
  std::vector<std::byte> bytes(*source.size());
  LARDER_RETURN_IF_ERROR(source.Read(bytes).status());
  LARDER_RETURN_IF_ERROR(source.CheckUnchanged());
  LARDER_ASSIGN_OR_RETURN(object::SealResult result, client.Put(request, bytes));
  return Imported{.result = std::move(result)};
}

// Nothing but the bytes can differ from an object that lives for ever. Else the agent decides: it knows all settings.
bool HasNoSettings(const object::ObjectMeta& meta) {
  return !meta.ttl && meta.tags.empty() && meta.application.empty() && meta.wanted_replicas == 1 &&
         meta.piece_length == 0;
}

// Compares the source with the object of its key, if there is a sealed one without a TTL: byte by byte, where it is
// mapped. (A CRC-32C that agrees would not do: it finds damage, not difference.)
absl::StatusOr<std::optional<Imported>> CompareWithExisting(Context& context, client::Client& client, Source& source,
                                                            const std::string& key, const base::Digest& expected) {
  // What the cluster knows counts, not a copy here of what was deleted or replaced. Where there is none, or it cannot
  // be asked, or another creates it, Create decides.
  const absl::StatusOr<object::ObjectInfo> known = client.Stat(key);
  if (!known.ok() || known->state != object::ObjectState::kSealed) return std::nullopt;
  absl::StatusOr<std::unique_ptr<object::ObjectReader>> object = client.Get(key);
  if (absl::IsNotFound(object.status())) return std::nullopt;
  if (!object.ok()) return object.status();
  const object::ObjectInfo& info = *known;
  if ((*object)->info().digest != info.digest || (*object)->info().size != info.size) return std::nullopt;
  if (info.size != *source.size()) return OtherContent(info.id);
  if (info.ttl_left) return std::nullopt;
  Progress progress(context.shows_progress(), "compare " + source.path(), source.size());
  Digester as_expected(expected.kind);
  std::vector<std::byte> buffer(kChunk), stored(kChunk);
  uint64_t offset = 0;
  bool same = true;
  while (const uint64_t want = source.want()) {
    const std::span<std::byte> part = std::span(buffer).first(std::min(want, kChunk));
    LARDER_RETURN_IF_ERROR(source.Read(part).status());
    as_expected.Update(part);
    if (same) {
      const std::span<std::byte> there = std::span(stored).first(part.size());
      LARDER_RETURN_IF_ERROR((*object)->Read(offset, there));
      same = std::ranges::equal(part, there);
      offset += part.size();
    }
    progress.Advance(part.size());
  }
  LARDER_RETURN_IF_ERROR(source.CheckUnchanged());
  if (const base::Digest digest = as_expected.Finish(); digest != expected) {
    return base::Error(absl::StatusCode::kDataLoss, "DIGEST_MISMATCH", "the bytes are {}, not {}",
                       base::FormatDigest(digest), base::FormatDigest(expected));
  }
  if (!same) return OtherContent(info.id);
  return Imported{.result = {.info = info, .existed = true}, .untouched = true};
}

// Reads until the end of the source, straight into what the writer gives.
absl::Status Fill(Source& source, object::ObjectWriter& writer, Progress& progress) {
  while (const uint64_t want = source.want()) {
    LARDER_ASSIGN_OR_RETURN(const base::MutableByteSpan to, writer.Prepare(want));
    LARDER_ASSIGN_OR_RETURN(const size_t got, source.Read(to));
    if (got == 0) break;
    LARDER_RETURN_IF_ERROR(writer.Commit(got));
    progress.Advance(got);
  }
  return source.CheckUnchanged();
}

}  // namespace

absl::StatusOr<Imported> ImportFile(Context& context, client::Client& client, Source& source,
                                    const object::CreateRequest& request, const base::Digest& expected) {
  const bool checked = expected.kind != base::Digest::Kind::kNone;
  if (source.size() && *source.size() <= kSmall && !checked) return PutSmall(client, source, request);
  // Content-addressed, the key is known beforehand if its digest was given.
  const bool named_by_digest = request.key.empty() && expected.kind == base::Digest::Kind::kSha256;
  const std::string key = named_by_digest ? base::FormatDigest(expected) : request.key;
  if (!key.empty() && source.size() && !request.overwrite && HasNoSettings(request.meta)) {
    LARDER_ASSIGN_OR_RETURN(std::optional<Imported> same, CompareWithExisting(context, client, source, key, expected));
    if (same) return *std::move(same);
  }
  const Interrupts::Unwinding unwinding(context.interrupts);
  object::CreateRequest sized = request;
  sized.size_hint = source.size().value_or(0);
  LARDER_ASSIGN_OR_RETURN(const std::unique_ptr<object::ObjectWriter> writer, client.Create(sized));
  {
    Progress progress(context.shows_progress(), "import " + source.path(), source.size());
    if (absl::Status filled = Fill(source, *writer, progress); !filled.ok()) {
      writer->Discard().IgnoreError();  // the connection's end does it, too
      return filled;
    }
  }
  LARDER_ASSIGN_OR_RETURN(object::SealResult result, writer->Seal(expected));
  return Imported{.result = std::move(result)};
}

}  // namespace larder::cli
