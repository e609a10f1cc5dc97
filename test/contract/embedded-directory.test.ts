// The contract on an embedded backend with a directory.
import { describeContract } from './contract.ts'

describeContract('embedded-directory')
