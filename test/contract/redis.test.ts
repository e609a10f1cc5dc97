// The contract on Redis.
import { describeContract } from './contract.ts'

describeContract('redis')
