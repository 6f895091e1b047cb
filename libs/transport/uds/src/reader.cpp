#include <algorithm>

#include "larder/base/status.h"
#include "src/channel.h"

namespace larder::transport::uds {
namespace {

class UdsReader final : public object::ObjectReader {
 public:
  UdsReader(std::shared_ptr<Session> session, uint64_t lease, object::ObjectInfo info)
      : session_(std::move(session)), lease_(lease), info_(std::move(info)) {}
  ~UdsReader() override {
    if (lease_ == 0) return;
    mapped_ = Mapped();  // first unmapped, then released
    base::ByteWriter out;
    out.U64(lease_);
    session_->link.Tell(Op::kRelease, out.bytes());
    session_->TrimSegments();
  }

  const object::ObjectInfo& info() const override { return info_; }
  std::optional<base::ByteSpan> Bytes() const override {
    if (form_ == Form::kStream) return std::nullopt;
    return form_ == Form::kShared ? mapped_.bytes : base::ByteSpan(inline_);
  }

  absl::Status Read(uint64_t offset, base::MutableByteSpan out) override {
    if (offset > info_.size || out.size() > info_.size - offset) {
      return base::Error(absl::StatusCode::kOutOfRange, "OUT_OF_RANGE", "bytes {}+{} of an object of {}", offset,
                         out.size(), info_.size);
    }
    if (const auto bytes = Bytes()) {
      std::copy_n(bytes->begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
      return absl::OkStatus();
    }
    while (!out.empty()) {
      const uint32_t part = static_cast<uint32_t>(std::min<uint64_t>(out.size(), session_->welcome.inline_limit));
      base::ByteWriter request;
      request.U64(lease_).U64(offset).U32(part);
      LARDER_ASSIGN_OR_RETURN(const Reply reply, session_->link.Call(Op::kRead, request.bytes()));
      if (reply.payload.size() != part) return BadRecord("a READ of another length");
      std::copy(reply.payload.begin(), reply.payload.end(), out.begin());
      out = out.subspan(part);
      offset += part;
    }
    return absl::OkStatus();
  }

  // Takes what follows the object in GET's reply.
  absl::Status Fill(Form form, base::ByteReader& in);

 private:
  std::shared_ptr<Session> session_;
  const uint64_t lease_;  // 0: nothing is held
  object::ObjectInfo info_;
  Form form_ = Form::kInline;
  std::vector<std::byte> inline_;
  Mapped mapped_;
};

absl::Status UdsReader::Fill(Form form, base::ByteReader& in) {
  form_ = form;
  if (form == Form::kInline) {
    if (in.rest().size() != info_.size) return BadRecord("an inline object of another size");
    inline_.assign(in.rest().begin(), in.rest().end());
    return absl::OkStatus();
  }
  if (form == Form::kStream) return absl::OkStatus();
  const uint32_t total = in.U32();
  std::vector<WireExtent> extents = TakeExtents(in);
  LARDER_RETURN_IF_ERROR(Finished(in, "GET's reply"));
  while (extents.size() < total) {
    base::ByteWriter request;
    request.U64(lease_).U32(static_cast<uint32_t>(extents.size()));
    LARDER_ASSIGN_OR_RETURN(const Reply reply,
                            session_->link.Call(Op::kExtents, request.bytes(), base::kNoDeadline, {}, true));
    base::ByteReader more(reply.payload);
    more.U32();
    const std::vector<WireExtent> next = TakeExtents(more);
    LARDER_RETURN_IF_ERROR(Finished(more, "EXTENTS' reply"));
    if (next.empty()) return BadRecord("fewer extents than it said");
    extents.insert(extents.end(), next.begin(), next.end());
  }
  absl::StatusOr<Mapped> mapped = session_->segments.Map(extents);
  if (!mapped.ok()) {
    // The agent believes we have them: next time they come with their descriptors again.
    std::vector<uint32_t> ids;
    for (const WireExtent& extent : extents) ids.push_back(extent.segment);
    session_->segments.Drop(ids);
    session_->SayUnmapped(ids);
    return mapped.status();
  }
  if (mapped->bytes.size() != info_.size) return BadRecord("extents of another size than the object");
  mapped_ = *std::move(mapped);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<object::ObjectReader>> OpenReader(std::shared_ptr<Session> session,
                                                                 const std::string& key, base::Deadline deadline) {
  // Twice with shared memory (a segment may have been trimmed in between), then without.
  for (int attempt = 0;; ++attempt) {
    base::ByteWriter out;
    out.U32(attempt < 2 ? 0 : kGetNoDescriptors).U32(Session::WaitMs(deadline)).Str(key);
    LARDER_ASSIGN_OR_RETURN(const Reply reply,
                            session->link.Call(Op::kGet, out.bytes(), Session::AnswerBy(deadline), {}, true));
    base::ByteReader in(reply.payload);
    const uint64_t lease = in.U64();
    object::ObjectInfo info = TakeObject(in);
    const uint8_t form = in.U8();
    if (!in.ok() || form > 2) return BadRecord("GET's reply is cut off");
    info.id.ns = session->welcome.ns;
    if (lease != 0) session->KeepRenewing();
    auto reader = std::make_unique<UdsReader>(session, lease, std::move(info));
    const absl::Status filled = reader->Fill(static_cast<Form>(form), in);
    if (filled.ok()) return reader;
    if (base::Reason(filled) != "NO_SEGMENT" || attempt == 2) return filled;
  }
}

}  // namespace larder::transport::uds
