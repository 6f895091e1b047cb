#include "core/completion.h"

#include "core/context.h"
#include "larder/base/status.h"
#include "verbs/all.h"

namespace larder::cli {
namespace {

absl::Status PrintCompletion(Context& context, const Arguments& given) {
  const std::string& shell = given.operands.front();
  if (shell == "bash") {
    context.out.Text(BashCompletion(context.verbs));
  } else if (shell == "zsh") {
    context.out.Text(ZshCompletion(context.verbs));
  } else if (shell == "fish") {
    context.out.Text(FishCompletion(context.verbs));
  } else {
    return base::InvalidArgument("BAD_VALUE", "'{}' is no shell that is known here (bash, zsh, fish)", shell);
  }
  return absl::OkStatus();
}

}  // namespace

Verb CompletionVerb() {
  return {
      .name = "completion",
      .operands = "bash|zsh|fish",
      .min_operands = 1,
      .max_operands = 1,
      .summary = "Print a script that completes verbs, flags and files in a shell",
      .example = "source <(larder completion bash)",
      .choices = {"bash", "zsh", "fish"},
      .run = PrintCompletion,
  };
}

}  // namespace larder::cli
