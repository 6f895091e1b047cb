#include "larder/cli_docs/run.h"

int main(int argc, char** argv) { return larder::cli_docs::Run(argc, argv); }
