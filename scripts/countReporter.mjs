// CI reads a closing line "N passed, N failed"; vitest prints none of that form.
// A file that fails to load and an unhandled error each count as one failure.
export default class CountReporter {
  onTestRunEnd(modules, errors) {
    let passed = 0;
    let failed = errors.length;
    for (const module of modules) {
      let tests = 0;
      for (const test of module.children.allTests()) {
        tests += 1;
        const { state } = test.result();
        if (state === "passed") passed += 1;
        else if (state === "failed") failed += 1;
      }
      if (tests === 0 || module.errors().length > 0) failed += Math.max(1, module.errors().length);
    }
    process.stdout.write(`${passed} passed, ${failed} failed\n`);
  }
}
