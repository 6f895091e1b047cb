#include "larder/cli/run.h"

int main(int argc, char** argv) { return larder::cli::Run(argc, argv); }
