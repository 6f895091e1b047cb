#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "larder/base/clock.h"

namespace larder::transport::uds {

// Whose turn it is on a thread that serves groups of clients: of those that wait, the one that had least of its time so
// far (start-time fair queueing). A group that uses less than its share saves some of it up, so who asks seldom goes
// ahead of all who ask all the time, and waits for one turn of theirs at most, however many they are. No I/O and no
// clock; one thread.
class Turns {
 public:
  using Group = size_t;
  // A few calls in a row: for so long a group that was idle is ahead of others, and no longer.
  static constexpr base::Duration kMostSaved = std::chrono::microseconds(100);
  // A longer turn counts as this long: who asked for something large once is not made to wait for that by others.
  static constexpr base::Duration kMostCounted = std::chrono::milliseconds(1);

  // One of `waiting`, in which a group may be several times; not empty.
  Group Next(std::span<const Group> waiting);
  // The group's turn took so long.
  void Took(Group group, base::Duration time);

 private:
  struct Account {
    Group group = 0;
    base::Duration used{};
  };
  base::Duration UsedBy(Group group) const;

  base::Duration shared_{};        // what a group that waits all the time has used by now
  std::vector<Account> accounts_;  // but for those that have saved as much as they may
};

}  // namespace larder::transport::uds
