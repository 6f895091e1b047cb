#include "src/turns.h"

#include <algorithm>

namespace larder::transport::uds {

base::Duration Turns::UsedBy(Group group) const {
  const auto account = std::ranges::find(accounts_, group, &Account::group);
  return account == accounts_.end() ? shared_ - kMostSaved : account->used;
}

Turns::Group Turns::Next(std::span<const Group> waiting) {
  const auto next = std::ranges::min_element(waiting, {}, [this](Group group) { return UsedBy(group); });
  shared_ = std::max(shared_, UsedBy(*next));
  std::erase_if(accounts_, [this](const Account& account) { return account.used <= shared_ - kMostSaved; });
  return *next;
}

void Turns::Took(Group group, base::Duration time) {
  // Something at least: else those that take no time that a clock shows would not take turns.
  const base::Duration used = UsedBy(group) + std::clamp(time, base::Duration(1), kMostCounted);
  std::erase_if(accounts_, [group](const Account& account) { return account.group == group; });
  accounts_.push_back({.group = group, .used = used});
}

}  // namespace larder::transport::uds
