#pragma once
#include <deque>
#include <functional>
#include <vector>

#include "larder/base/clock.h"
#include "src/link.h"

namespace larder::transport::uds {

// Many requests of one kind in BATCHes: as many as fit a record together, several records on their way at once. One
// caller at a time.
class BatchCall {
 public:
  // For item number `index`: its code (0 or the error's), the payload that it would have alone, and the record that
  // this lies in. Called by Add and Finish, in any order of the items.
  using OnAnswer = std::function<void(size_t index, uint32_t code, base::ByteSpan payload, const Record& record)>;

  // `op` is GET, PUT, STAT or DELETE. Answers are waited for until `deadline`.
  BatchCall(Link& link, Op op, base::Deadline deadline, OnAnswer on_answer);
  BatchCall(const BatchCall&) = delete;
  BatchCall& operator=(const BatchCall&) = delete;

  static bool Fits(size_t payload) { return Link::Fits(payload + kBatchItemOverhead + sizeof(uint16_t)); }
  // Item number `index`, whose payload is `head` and `tail` and Fits.
  void Add(size_t index, base::ByteSpan head, base::ByteSpan tail = {});
  // Waits for all answers. If it fails, some items got none.
  absl::Status Finish();

 private:
  void Send();
  void Land();

  Link& link_;
  const Op op_;
  const size_t most_;  // items of a record
  const base::Deadline deadline_;
  const OnAnswer on_answer_;
  base::ByteWriter items_;
  std::vector<size_t> indices_;  // of items_
  struct Flying {
    uint64_t request = 0;
    std::vector<size_t> indices;
  };
  std::deque<Flying> flying_;  // oldest first
  absl::Status failed_;
};

}  // namespace larder::transport::uds
