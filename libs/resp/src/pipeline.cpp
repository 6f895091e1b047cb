#include "src/pipeline.h"

#include <utility>

namespace larder::resp {

uint64_t Pipeline::Start(bool write) {
  writing_ = write;
  ++in_flight_;
  slots_.push_back({"", true});
  return first_ticket_ + slots_.size() - 1;
}

void Pipeline::Finish(uint64_t ticket, std::string reply) {
  slots_[ticket - first_ticket_] = {std::move(reply), false};
  --in_flight_;
}

void Pipeline::TakeReady(std::string& out) {
  while (!slots_.empty() && !slots_.front().waiting) {
    out += slots_.front().reply;
    slots_.pop_front();
    ++first_ticket_;
  }
}

}  // namespace larder::resp
