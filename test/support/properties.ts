// Vitest's set-up of every test file. A property that fails says on what before its test's time is over, however much there
// would be to try for a smaller example: many give way to nothing meanwhile, so that no timer could end them.

import fc from 'fast-check';
import { propertyLimitMs } from './soak.ts';

fc.configureGlobal({ interruptAfterTimeLimit: propertyLimitMs(), markInterruptAsFailure: true });
