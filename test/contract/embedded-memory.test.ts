// The contract on an embedded backend in memory.
import { describeContract } from './contract.ts'

describeContract('embedded-memory')
