// The contract on Valkey.
import { describeContract } from './contract.ts'

describeContract('valkey')
