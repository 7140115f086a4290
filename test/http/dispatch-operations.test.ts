import { everyOperation } from './every-operation.ts'
import { tagged } from './operations.ts'

everyOperation(tagged('dispatch'))
