#include "src/channel.h"

#include <algorithm>

#include "larder/base/status.h"
#include "src/batch_call.h"

namespace larder::transport::uds {

absl::StatusOr<std::unique_ptr<object::Channel>> UdsChannel::Dial(const std::string& directory,
                                                                  const object::DialOptions& options) {
  std::shared_ptr<Keeper> keeper = Keeper::Make(directory, options);
  LARDER_ASSIGN_OR_RETURN(std::shared_ptr<Session> session, keeper->Connect(options.deadline));
  return std::make_unique<UdsChannel>(Line{std::move(keeper), std::move(session)});
}

absl::StatusOr<std::unique_ptr<object::Channel>> UdsChannel::Redial(base::Deadline deadline) {
  const std::shared_ptr<Keeper>& keeper = line_.keeper;
  if (keeper->InChild()) {
    object::DialOptions options = keeper->options();
    options.deadline = deadline;
    return Dial(keeper->directory(), options);
  }
  LARDER_ASSIGN_OR_RETURN(std::shared_ptr<Session> session, keeper->Connect(deadline));
  return std::make_unique<UdsChannel>(Line{keeper, std::move(session)});
}

absl::StatusOr<std::unique_ptr<object::ObjectWriter>> UdsChannel::Create(const object::CreateRequest& request,
                                                                         base::Deadline deadline) {
  line_.keeper->SendReleases();
  return OpenWriter(line_, request, deadline);
}

absl::StatusOr<std::unique_ptr<object::ObjectReader>> UdsChannel::Get(const std::string& key, base::Deadline deadline) {
  return OpenReader(line_, key, deadline);
}

absl::StatusOr<std::unique_ptr<object::ObjectReader>> UdsChannel::GetRange(const std::string& key,
                                                                           const object::ByteRange& range,
                                                                           base::Deadline deadline) {
  return OpenRangeReader(line_, key, range, deadline);
}

std::vector<absl::StatusOr<std::unique_ptr<object::ObjectReader>>> UdsChannel::GetMany(
    std::span<const std::string> keys, base::Deadline deadline) {
  return OpenReaders(line_, keys, deadline);
}

std::string UdsChannel::token() const {
  const std::string& token = line_.session->welcome.token;
  return std::ranges::all_of(token, [](char c) { return c == 0; }) ? "" : token;  // all zeros: there is none
}

absl::StatusOr<object::SealResult> UdsChannel::TakeResult(base::ByteSpan payload) const {
  base::ByteReader in(payload);
  object::SealResult result = TakeSealed(in);
  LARDER_RETURN_IF_ERROR(Finished(in, "PUT's reply"));
  result.info.id.ns = ns();
  return result;
}

absl::StatusOr<object::SealResult> UdsChannel::Put(const object::CreateRequest& request, base::ByteSpan bytes,
                                                   base::Deadline deadline) {
  base::ByteWriter out;
  PutPut(out, {.creation = {.request = request, .wait_ms = WaitMs(deadline)}});
  if (bytes.size() > line_.session->welcome.inline_limit || !Link::Fits(out.size() + bytes.size())) {
    object::CreateRequest sized = request;
    sized.size_hint = bytes.size();
    line_.keeper->SendReleases();
    LARDER_ASSIGN_OR_RETURN(std::unique_ptr<object::ObjectWriter> writer,
                            OpenWriter(line_, sized, deadline, AnswerBy(deadline)));
    LARDER_RETURN_IF_ERROR(writer->Write(bytes));
    return writer->Seal({});
  }
  line_.keeper->SendReleases();
  LARDER_ASSIGN_OR_RETURN(const Reply reply, link().Call(Op::kPut, out.bytes(), AnswerBy(deadline), bytes));
  return TakeResult(reply.payload);
}

std::vector<absl::StatusOr<object::SealResult>> UdsChannel::PutMany(std::span<const object::PutRequest> requests,
                                                                    base::Deadline deadline) {
  std::vector<absl::StatusOr<object::SealResult>> results(requests.size());
  std::vector<bool> answered(requests.size());
  line_.keeper->SendReleases();
  BatchCall batch(link(), Op::kPut, AnswerBy(deadline),
                  [&](size_t i, uint32_t code, base::ByteSpan payload, const Record&) {
                    results[i] = code != 0 ? TakeError(code, payload) : TakeResult(payload);
                    answered[i] = true;
                  });
  base::ByteWriter head;
  std::vector<size_t> alone;
  for (size_t i = 0; i < requests.size(); ++i) {
    const object::PutRequest& put = requests[i];
    head.Clear();
    PutPut(head, {.creation = {.request = put.request, .wait_ms = WaitMs(deadline)}});
    if (put.bytes.size() > line_.session->welcome.inline_limit || !BatchCall::Fits(head.size() + put.bytes.size())) {
      alone.push_back(i);  // too large for a record
    } else {
      batch.Add(i, head.bytes(), put.bytes);
    }
  }
  const absl::Status ended = batch.Finish();
  for (size_t i = 0; i < results.size(); ++i) {
    // So many wait for other creators already that no more may: one at a time, then.
    if (base::Reason(results[i].status()) == "TOO_MANY_WAITING") alone.push_back(i);
  }
  for (const size_t i : alone) {
    results[i] = Put(requests[i].request, requests[i].bytes, deadline);
    answered[i] = true;
  }
  for (size_t i = 0; i < results.size(); ++i) {
    if (!answered[i]) results[i] = ended;
  }
  return results;
}

absl::StatusOr<object::ObjectInfo> UdsChannel::Stat(const std::string& key, base::Deadline deadline) {
  base::ByteWriter out;
  out.Str(key);
  LARDER_ASSIGN_OR_RETURN(const Reply reply, link().Call(Op::kStat, out.bytes(), AnswerBy(deadline)));
  base::ByteReader in(reply.payload);
  object::ObjectInfo info = TakeObject(in);
  LARDER_RETURN_IF_ERROR(Finished(in, "STAT's reply"));
  info.id.ns = ns();
  return info;
}

absl::StatusOr<object::ListPage> UdsChannel::List(const object::ListRequest& request, base::Deadline deadline) {
  base::ByteWriter out;
  PutList(out, request);
  LARDER_ASSIGN_OR_RETURN(const Reply reply, link().Call(Op::kList, out.bytes(), AnswerBy(deadline)));
  base::ByteReader in(reply.payload);
  object::ListPage page = TakeListPage(in);
  LARDER_RETURN_IF_ERROR(Finished(in, "LIST's reply"));
  for (object::ObjectInfo& info : page.objects) info.id.ns = ns();
  return page;
}

absl::Status UdsChannel::Delete(const std::string& key, base::Deadline deadline) {
  line_.keeper->SendReleases();
  base::ByteWriter out;
  out.Str(key);
  return link().Call(Op::kDelete, out.bytes(), AnswerBy(deadline)).status();
}

absl::Status UdsChannel::SetPinned(const std::string& key, bool pinned, base::Deadline deadline) {
  base::ByteWriter out;
  PutPin(out, {.pinned = pinned, .key = key});
  return link().Call(Op::kPin, out.bytes(), AnswerBy(deadline)).status();
}

}  // namespace larder::transport::uds
