#include <algorithm>
#include <optional>

#include "larder/base/status.h"
#include "src/connection.h"
#include "src/messages.h"

// The handlers that read an object: GET, EXTENTS, READ.
namespace larder::transport::uds {

namespace {

constexpr size_t kMaxMapped = 65536;  // segments a client is believed to have; who never says UNMAPPED reads by READ

}  // namespace

void Connection::Get(const Request& header, base::ByteReader& in) {
  const GetRequest get = TakeGet(in);
  if (auto bad = Finished(in, "GET"); !bad.ok()) return Malformed(header, bad);
  BeginGet(header, get, std::nullopt);
}

void Connection::GetRange(const Request& header, base::ByteReader& in) {
  const GetRangeRequest request = TakeGetRange(in);
  if (auto bad = Finished(in, "GET of a range"); !bad.ok()) return Malformed(header, bad);
  BeginGet(header, request.get, request.range);
}

void Connection::BeginGet(const Request& header, const GetRequest& get, const std::optional<object::ByteRange>& range) {
  auto work = [self = shared_from_this(), header, flags = get.flags, key = get.key, range,
               deadline = DeadlineOf(get.wait_ms)] {
    const auto answer = [self, header, flags](absl::StatusOr<object::ReadGrant> grant) {
      if (grant.ok()) {
        self->SendObject(header, flags, *std::move(grant));
      } else {
        self->Reply(header, grant.status());
      }
    };
    range ? self->peer_.GetRange(self->session_, key, *range, deadline, answer)
          : self->peer_.Get(self->session_, key, deadline, answer);
  };
  peer_.blocks() ? Offload(header, work) : work();
}

void Connection::SendObject(const Request& header, uint32_t flags, object::ReadGrant grant) {
  base::ByteWriter out;
  std::vector<base::UniqueFd> fds;
  const std::span<const object::Extent> shareable = grant.view->Shareable();
  if (!shareable.empty() && (flags & kGetNoDescriptors) == 0) {
    if (auto extents = Describe(shareable, 0, fds); extents.ok()) {
      PutGetAnswer(out, {.lease = grant.lease,
                         .info = std::move(grant.info),
                         .form = Form::kShared,
                         .shared = {.total = static_cast<uint32_t>(shareable.size()), .extents = *std::move(extents)}});
      return Reply(header, out.bytes(), {}, std::move(fds));
    }
    // Descriptors are short, or the client has too many: the bytes can still be streamed.
  }
  if (grant.partial || grant.view->size() > kInlineLimit) {
    PutGetAnswer(out, {.lease = grant.lease, .info = std::move(grant.info), .form = Form::kStream});
    return Reply(header, out.bytes());
  }
  std::vector<std::byte> copy;
  std::optional<base::ByteSpan> bytes = grant.view->Bytes();
  if (!bytes) {
    copy.resize(grant.view->size());
    const absl::Status read = grant.view->Read(0, copy);
    if (!read.ok()) {
      if (read.code() == absl::StatusCode::kDataLoss) peer_.ReportDamage(session_, grant.lease);
      peer_.Release(session_, grant.lease);
      return Reply(header, read);
    }
    bytes = copy;
  }
  PutGetAnswer(out, {.info = std::move(grant.info), .form = Form::kInline});  // its bytes follow
  Reply(header, out.bytes(), *bytes);
  peer_.Release(session_, grant.lease);
}

absl::StatusOr<std::vector<WireExtent>> Connection::Describe(std::span<const object::Extent> all, size_t from,
                                                             std::vector<base::UniqueFd>& fds) {
  std::vector<WireExtent> extents;
  std::vector<uint32_t> fresh;
  base::MutexLock lock(mutex_);
  for (size_t i = from; i < all.size() && extents.size() < kMaxExtents; ++i) {
    const object::Extent& extent = all[i];
    WireExtent wire{.segment = static_cast<uint32_t>(extent.memory->id()),
                    .segment_size = extent.memory->size(),
                    .offset = extent.offset,
                    .length = extent.length};
    if (!mapped_.contains(wire.segment) && mapped_.size() + fresh.size() >= kMaxMapped) {
      return base::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_SEGMENTS",
                         "this connection has {} segments and has not said UNMAPPED of any", mapped_.size());
    }
    if (!mapped_.contains(wire.segment) && std::find(fresh.begin(), fresh.end(), wire.segment) == fresh.end()) {
      LARDER_ASSIGN_OR_RETURN(base::UniqueFd fd, extent.memory->OpenReadOnly());
      fds.push_back(std::move(fd));
      fresh.push_back(wire.segment);
      wire.has_descriptor = true;
    }
    extents.push_back(wire);
  }
  mapped_.insert(fresh.begin(), fresh.end());
  return extents;
}

void Connection::Extents(const Request& header, base::ByteReader& in) {
  const auto [lease, from] = TakeExtentsRequest(in);
  if (auto bad = Finished(in, "EXTENTS"); !bad.ok()) return Malformed(header, bad);
  std::vector<base::UniqueFd> fds;
  base::ByteWriter out;
  if (const CreatingPtr creating = FindCreating(lease); creating != nullptr) {
    if (creating->window == nullptr) return Reply(header, NoCreation());
    if (absl::Status described = DescribeWindow(*creating->window, from, out, fds); !described.ok()) {
      return Reply(header, described);
    }
    return Reply(header, out.bytes(), {}, std::move(fds));
  }
  const auto view = peer_.ViewOf(session_, lease);
  if (!view.ok()) return Reply(header, view.status());
  auto extents = Describe((*view)->Shareable(), from, fds);
  if (!extents.ok()) return Reply(header, extents.status());
  PutExtentList(out, {.total = static_cast<uint32_t>((*view)->Shareable().size()), .extents = *std::move(extents)});
  Reply(header, out.bytes(), {}, std::move(fds));
}

void Connection::Read(const Request& header, base::ByteReader& in) {
  const ReadRequest request = TakeRead(in);
  if (auto bad = Finished(in, "READ"); !bad.ok()) return Malformed(header, bad);
  if (request.length > kInlineLimit) {
    return Reply(header, base::InvalidArgument("TOO_LARGE", "a READ gives at most {} bytes", kInlineLimit));
  }
  auto work = [self = shared_from_this(), header, request] {
    const auto view = self->peer_.ViewOf(self->session_, request.lease);
    if (!view.ok()) return self->Reply(header, view.status());
    std::vector<std::byte> bytes(request.length);
    const absl::Status read = (*view)->Read(request.offset, bytes);
    if (read.code() == absl::StatusCode::kDataLoss) self->peer_.ReportDamage(self->session_, request.lease);
    read.ok() ? self->Reply(header, bytes) : self->Reply(header, read);
  };
  peer_.blocks() ? Offload(header, work) : work();
}

}  // namespace larder::transport::uds
